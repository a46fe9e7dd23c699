"""The command line of `deploy/swiper`."""

import argparse
import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from deploy.operate.errors import OperateError
from deploy.operate.locks import site_locks
from deploy.operate.registry import COMMANDS
from deploy.operate.site import Site
from deploy.operate.steps import Steps

DEFAULT_SITE = "/opt/swiper"
OLDEST_PYTHON = (3, 11)
# As systemd has it: the site's account must read the code, and nginx the pictures, whatever the operator's shell says.
UMASK = 0o022
# The modules that register commands, in the order of the help.
MODULES = ("install", "checks", "lifecycle", "changes", "release", "logs", "backups")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the command line names. Return the exit code: 0, 1 for a refusal, 2 for a wrong line."""
    if sys.version_info < OLDEST_PYTHON:
        sys.exit("swiper: Python 3.11 or newer is needed")
    for module in MODULES:
        importlib.import_module(f"deploy.operate.{module}")
    given = _parser().parse_args(arguments)
    os.umask(UMASK)
    site, steps = Site(Path(given.site).expanduser().absolute()), Steps(given.dry_run)
    chosen = COMMANDS[given.command]
    # What changes nothing waits for nobody.
    locks = () if given.dry_run else chosen.locks
    try:
        with _ended_like_by_ctrl_c(), site_locks(site, locks, chosen.name):
            return chosen.run(site, steps, given) or 0
    except (OperateError, OSError) as error:
        for line in str(error).splitlines():
            print(f"swiper: {line.removeprefix('swiper: ')}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        steps.say(f"{chosen.name} was interrupted")
        return 130


@contextlib.contextmanager
def _ended_like_by_ctrl_c() -> Iterator[None]:
    """Let a command undo what it has begun when a terminal is closed (SIGHUP) or it is told to end (SIGTERM)."""

    def interrupt(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    # What `nohup` has switched off stays off.
    changed = [each for each in (signal.SIGHUP, signal.SIGTERM) if signal.getsignal(each) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    top = argparse.ArgumentParser(prog="deploy/swiper", description="Operate one site of Swiper.")
    default = os.environ.get("SWIPER_SITE", DEFAULT_SITE)
    where = f"the folder of the site (now {default}; SWIPER_SITE)"
    dry = "tell each step and change nothing"
    top.add_argument("--site", metavar="DIR", default=default, help=where)
    top.add_argument("--dry-run", action="store_true", help=dry)
    # Behind the command as well. What is left out there must not overwrite what stands before.
    common.add_argument("--site", metavar="DIR", default=argparse.SUPPRESS, help=where)
    common.add_argument("--dry-run", action="store_true", default=argparse.SUPPRESS, help=dry)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for entry in COMMANDS.values():
        summary = entry.help.splitlines()[0]
        parser = commands.add_parser(entry.name, parents=[common], help=summary, description=entry.help)
        for each in entry.arguments:
            parser.add_argument(*each.names, **each.options)
    return top
