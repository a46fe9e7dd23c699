"""Whether the pinned packages have wheels for each Python and platform that Swiper promises.

`python -m tests.audit.wheels` asks uv for each combination, and installs nothing. uv takes only wheels whose hashes are
pinned. The environment markers of the lists count, so a package may lack a wheel where its marker leaves it out. The
packages in `BUILT` are known to lack wheels. Needs the network.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path

from config.settings import ROOT
from deploy.packages import find_uv, uv_settings
from tests.audit.packages import RUN_LISTS

LISTS = (*RUN_LISTS, ROOT / "tests/requirements.txt")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# As uv calls them. Python 3.14 needs no newer libc; Debian 12 has 2.36.
PLATFORMS = {
    "Linux x86-64": "x86_64-manylinux_2_28",
    "Linux arm64": "aarch64-manylinux_2_28",
    "macOS arm64": "aarch64-apple-darwin",
}
AT_ONCE = 4
# What is built from source: package, Python, platform, and what that needs.
BUILT = (
    ("alibabacloud-tea", "*", "*", "is Python alone, and needs no compiler"),
    ("gevent", "3.11", "macOS *", "needs a compiler, which newer Pythons do not"),
    ("pylibmc", "3.1[2-4]", "*", "needs a compiler and libmemcached"),
)


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

    def lacking(self, python: str, name: str) -> list[str]:
        """Return what is wrong with the lists on `name` of `PLATFORMS`, a text for each package.

        A package is wrong if it has no wheel and is not in `BUILT`, or if it has one and is.
        """
        platform = PLATFORMS[name]
        built = {package for package, pythons, names, _ in BUILT if fnmatch(python, pythons) and fnmatch(name, names)}
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
            parts = list(chain.from_iterable(write_parts(path, Path(folder)) for path in LISTS))
            # A package of several lists has one part.
            named = {part.stem.partition("[")[0]: part for part in parts}
            others = [named[package] for package in sorted(named.keys() - built)]
            known = [named[package] for package in sorted(named.keys() & built)]
            together = Path(folder) / "together"
            together.write_text("\n".join(part.read_text() for part in others))
            asked = others if self.ask(together, python, platform) else []
            answers = pool.map(lambda part: self.ask(part, python, platform), [*asked, *known])
            told = list(zip([*asked, *known], answers, strict=True))
        faults = [f"{part.stem}: {answer}" for part, answer in told if answer and part not in known]
        return faults + [f"{part.stem}: has a wheel now" for part, answer in told if part in known and not answer]


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
    """Print a table of the combinations, what is built from source, and what is wrong. Return 1 if anything is."""
    try:
        asking = Asking()
    except NoUvError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{'':16}" + "".join(f"{python:>8}" for python in PYTHONS))
    faults = []
    for name in PLATFORMS:
        cells = []
        for python in PYTHONS:
            found = asking.lacking(python, name)
            cells.append(f"{len(found)} wrong" if found else "all")
            faults += [f"{name}, Python {python}: {fault}" for fault in found]
        print(f"{name:16}" + "".join(f"{cell:>8}" for cell in cells), flush=True)
    for package, pythons, names, what in BUILT:
        print(f"built from source (Python {pythons}, {names}): {package} {what}")
    for fault in faults:
        print(f"\n{fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
