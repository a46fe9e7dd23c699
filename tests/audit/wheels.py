"""Whether the pinned packages have wheels for each Python and platform that Swiper promises.

`python -m tests.audit.wheels` asks uv for each combination, and installs nothing. uv takes only wheels whose hashes are
pinned. The environment markers of the lists count, so a package may lack a wheel where its marker leaves it out. Needs
the network.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from config.settings import ROOT
from deploy.packages import find_uv, uv_settings

LISTS = tuple(ROOT / name for name in ("requirements.txt", "tests/requirements.txt"))
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# As uv calls them. Python 3.14 needs no newer libc; Debian 12 has 2.36.
PLATFORMS = {
    "Linux x86-64": "x86_64-manylinux_2_28",
    "Linux arm64": "aarch64-manylinux_2_28",
    "macOS arm64": "aarch64-apple-darwin",
}
AT_ONCE = 4


class NoUvError(Exception):
    """There is no uv to ask."""


class Asking:
    """Asks uv whether lists can be installed from wheels alone."""

    def __init__(self) -> None:
        self.uv = find_uv()
        if self.uv is None:
            raise NoUvError("uv cannot be installed here")
        self.environment, self.options = uv_settings(*map(str, LISTS))

    def ask(self, path: Path, python: str, platform: str) -> str:
        """Return nothing if all packages of the list have wheels for the platform, otherwise what uv says."""
        with tempfile.TemporaryDirectory() as empty:
            command = [str(self.uv), "pip", "install", "--dry-run", "--quiet", "--no-deps", "--only-binary", ":all:"]
            command += ["--target", empty, "--python-version", python, "--python-platform", platform]
            done = subprocess.run(
                [*command, *self.options, "-r", str(path)], env=self.environment, capture_output=True, text=True
            )
        return done.stderr.strip() or f"uv ended with code {done.returncode}" if done.returncode else ""

    def lacking(self, path: Path, python: str, platform: str) -> list[str]:
        """Return the packages of a list that have no wheel for the platform, each with what uv says about it."""
        if not self.ask(path, python, platform):
            return []
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
            parts = list(write_parts(path, Path(folder)))
            answers = list(pool.map(lambda part: self.ask(part, python, platform), parts))
        return [f"{part.stem}: {answer}" for part, answer in zip(parts, answers, strict=True) if answer]


def write_parts(path: Path, folder: Path) -> Iterator[Path]:
    """Write each package of a list, with its hashes, into a file of its own that has the name of the package."""
    lines: list[str] = []
    for line in [*path.read_text().splitlines(), "end"]:
        if line and line[0] not in " #":
            if lines:
                part = folder / f"{lines[0].partition('==')[0]}.txt"
                part.write_text("\n".join(lines))
                yield part
            lines = [line]
        elif lines and line.lstrip().startswith("--hash="):
            lines.append(line)


def main() -> int:
    """Print a table of the combinations, and below it what is lacking. Return 1 if anything is."""
    try:
        asking = Asking()
    except NoUvError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{'':16}" + "".join(f"{python:>8}" for python in PYTHONS))
    faults = []
    for name, platform in PLATFORMS.items():
        cells = []
        for python in PYTHONS:
            found = [fault for path in LISTS for fault in asking.lacking(path, python, platform)]
            cells.append(f"{len(found)} lack" if found else "all")
            faults += [f"{name}, Python {python}: {fault}" for fault in found]
        print(f"{name:16}" + "".join(f"{cell:>8}" for cell in cells), flush=True)
    for fault in faults:
        print(f"\n{fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
