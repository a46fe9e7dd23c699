"""The pinned packages against the public advisories: `python -m tests.audit.packages`.

pip-audit asks the advisory database. Where that is out of reach this is said, and the packages that read what strangers
send are held to the versions below; those are checked in any case.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.version import Version

from config.settings import ROOT

# What Swiper runs with: the packages that it always needs, and the groups that some settings need.
RUN_LISTS = (ROOT / "requirements.txt", *sorted(ROOT.glob("config/requirements/*.txt")))
MORE = (
    "tests/requirements.txt",
    "tests/requirements-browser.txt",
    "bench/requirements.txt",
    "deploy/requirements-uv.txt",
)
LISTS = (*RUN_LISTS, *(ROOT / name for name in MORE))
# A database that does not answer at all is given up after this time, however many packages there are.
PATIENCE_SECONDS = 60
SOCKET_SECONDS = 5
# The first version without the last hole that was published by November 2026, and what that hole was.
FIXED_IN = {
    "aiohttp": ("3.14.1", "PYSEC-2026-2111: a compressed body is unpacked in one piece"),
    "celery": ("5.2.2", "CVE-2021-23727: a result backend that others write to runs commands"),
    "certifi": ("2024.7.4", "CVE-2024-39689: roots of an authority that is trusted no more"),
    "cryptography": ("46.0.6", "CVE-2026-34073: name constraints of certificates were not applied"),
    "dnspython": ("2.6.1", "CVE-2023-29483: a forged packet ends a look-up"),
    "flask": ("3.1.1", "CVE-2025-47278: sessions signed with a key that was to be replaced"),
    "gevent": ("23.9.0", "CVE-2023-41419: requests smuggled past its WSGI server"),
    "gunicorn": ("23.0.0", "CVE-2024-6827: requests smuggled by Transfer-Encoding"),
    "idna": ("3.7", "CVE-2024-3651: a long name takes quadratic time"),
    "jinja2": ("3.1.6", "CVE-2025-27516: a template leaves its sandbox"),
    "mako": ("1.2.2", "CVE-2022-40023: a template that takes exponential time to parse"),
    "marshmallow": ("4.1.2", "CVE-2025-68480: a list of errors takes quadratic time"),
    "pillow": ("13.0.0", "GHSA-8g5g-8vmr-9782: a JPEG writes beyond the decoder's buffer"),
    "pydantic": ("2.4.0", "CVE-2024-3772: an e-mail address takes exponential time"),
    "pymysql": ("1.1.1", "CVE-2024-36039: keys of a dictionary are not escaped"),
    "redis": ("4.5.4", "CVE-2023-28859: an answer goes to whoever asks next"),
    "requests": ("2.32.4", "CVE-2024-47081: passwords of .netrc go to another host"),
    "sqlalchemy": ("1.3.0", "CVE-2019-7548: SQL in group_by"),
    "urllib3": ("2.6.3", "CVE-2026-21441: a redirect's body is unpacked without a limit"),
    "werkzeug": ("3.1.6", "CVE-2026-27199: device names pass safe_join on Windows"),
}


class OutOfReachError(Exception):
    """The advisory database could not be asked."""


def pinned(text: str) -> dict[str, Version]:
    """Package and version of each line `name==version` of a requirements file."""
    lines = [line.partition("#")[0].strip(" \\") for line in text.splitlines()]
    found = [Requirement(line) for line in lines if "==" in line]
    return {package.name: Version(str(package.specifier).removeprefix("==")) for package in found}


def pinned_to_run() -> dict[str, Version]:
    """Package and version of each pin of `RUN_LISTS`, which agree on the version."""
    return {name: version for path in RUN_LISTS for name, version in pinned(path.read_text()).items()}


def below_minimum(versions: dict[str, Version]) -> list[str]:
    """What is wrong with `versions` by the table above, in words."""
    wrong = [f"{name} is not pinned, and this table is out of date" for name in FIXED_IN if name not in versions]
    for name, (minimum, hole) in FIXED_IN.items():
        if name in versions and versions[name] < Version(minimum):
            wrong.append(f"{name} {versions[name]} is older than {minimum}: {hole}")
    return wrong


def ask_advisories(lists: Sequence[Path] = LISTS) -> list[dict[str, Any]]:
    """pip-audit's finding on each package of the requirements files. Raises OutOfReachError."""
    command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--format", "json"]
    command += ["--progress-spinner", "off", "--timeout", str(SOCKET_SECONDS)]
    command += [part for path in lists for part in ("--requirement", str(path))]
    return run_audit(command, PATIENCE_SECONDS)


def run_audit(command: Sequence[str], seconds: float) -> list[dict[str, Any]]:
    """The findings that `command` prints as JSON. Raises OutOfReachError for none, or none in time."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise OutOfReachError(f"no answer within {seconds:g} s") from error
    try:
        findings: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError as error:
        raise OutOfReachError(next(iter(done.stderr.strip().splitlines()[-1:]), "no output")[:200]) from error
    # A mirror that does not know the packages' advisories makes pip-audit skip them all, and be content.
    if not [found for found in findings if "vulns" in found]:
        raise OutOfReachError("it knows none of the packages")
    return findings


def holes(findings: Sequence[dict[str, Any]]) -> list[str]:
    """Each known hole, with the versions that have none."""
    return [
        f"{found['name']} {found['version']}: {hole['id']}, fixed in {', '.join(hole['fix_versions']) or 'no version'}"
        for found in findings
        for hole in found.get("vulns", [])
    ]


def main() -> int:
    """Print what was found; 1 where something is wrong."""
    wrong = below_minimum(pinned_to_run())
    print(f"{len(FIXED_IN)} packages compared with the versions that have their known holes closed")
    try:
        findings = ask_advisories()
    except OutOfReachError as error:
        print(f"THE ADVISORY DATABASE IS OUT OF REACH ({error}): only those versions were checked", file=sys.stderr)
    else:
        skipped = [found["name"] for found in findings if "vulns" not in found]
        print(f"{len(findings) - len(skipped)} packages compared with the advisory database")
        if skipped:
            print(f"not known there: {', '.join(skipped)}", file=sys.stderr)
        wrong += holes(findings)
    for fault in wrong:
        print(fault, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
