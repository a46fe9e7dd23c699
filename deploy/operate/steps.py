"""The steps of a command: each says what it does in one line, and changes nothing in a dry run."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.operate.errors import OperateError

SHOWN_LINES = 20
# How much less of a busy processor than the instances a step gets (nice(1)).
NICE = 10


def say(text: str) -> None:
    """Print one line. If nobody reads any more, go on in silence: what is begun must not stop half-way."""
    # Such as `tee` behind a pipe, which Ctrl-C ends as well, or a terminal that was closed.
    with contextlib.suppress(OSError):
        print(f"swiper: {text}", flush=True)


class Steps:
    """Prints each step and does it, or only prints it if `is_dry_run`."""

    def __init__(self, is_dry_run: bool = False) -> None:
        self.is_dry_run = is_dry_run

    def say(self, text: str) -> None:
        """See `say`."""
        say(text)

    def do(self, text: str, action: Callable[[], object]) -> None:
        """Print `text` and call `action`."""
        self.say(f"would {text}" if self.is_dry_run else text)
        if not self.is_dry_run:
            action()

    def run(
        self,
        text: str,
        command: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        account: Mapping[str, Any] | None = None,
        is_urgent: bool = False,
    ) -> None:
        """Print `text` and run `command` to its end; `stdin` is for what must not stand among its arguments.

        `account` and `is_urgent`: see `run_quietly`. Raises OperateError with the last lines of its output if it fails.
        """
        options: dict[str, Any] = {"cwd": cwd, "env": env, "stdin": stdin, "account": account, "is_urgent": is_urgent}
        self.do(text, lambda: run_quietly(command, **options))

    def write(self, text: str, path: Path, content: str, mode: int = 0o644) -> None:
        """Print `text` and replace the file at `path` at once, never seen half-written or with a wider mode."""
        self.do(text, lambda: write_file(path, content, mode))


def run_quietly(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    account: Mapping[str, Any] | None = None,
    is_urgent: bool = False,
) -> str:
    """Return what `command` prints. Raises OperateError with the last lines of its output if it fails.

    `account` are options of `subprocess.Popen` (see `Site.as_owner`). What is not urgent leaves the processors to the
    instances that serve.
    """
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    try:
        done = subprocess.run(
            list(command),
            cwd=cwd,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            preexec_fn=None if is_urgent else lower_priority,
            **given,
            **(account or {}),
        )
    except FileNotFoundError:
        raise OperateError(f"{command[0]} is not installed") from None
    if done.returncode:
        shown = "\n".join(done.stdout.strip().splitlines()[-SHOWN_LINES:])
        raise OperateError(f"{Path(command[0]).name} ended with code {done.returncode}\n{shown}".strip())
    return str(done.stdout)


def lower_priority() -> None:
    """Let a child leave the processors to the instances that serve; to be called in it."""
    os.nice(NICE)


def write_file(path: Path, content: str, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Replace the file at `path` at once. The mode is that of its first byte on; `owner` are the ids of two."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "w") as file:
        os.fchmod(file.fileno(), mode)
        if owner:
            os.fchown(file.fileno(), *owner)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def switch_link(link: Path, target: Path) -> None:
    """Let `link` point to `target`, which is a neighbour or below one; at no moment there is no link."""
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(os.path.relpath(target, link.parent))
    fresh.replace(link)
