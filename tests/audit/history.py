"""Secrets in any version of any file, in messages of commits, and in what is not committed yet.

`python -m tests.audit.history [FOLDER]` reads the repository there. detect-secrets judges each line; what it takes for
a secret and is none stands in `allowed.txt`, with the reason. A secret is never printed.
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings, get_settings

from config.settings import ROOT

ALLOWED = Path(__file__).parent / "allowed.txt"
# A line could otherwise excuse itself, by a comment.
EXCUSE = "detect_secrets.filters.allowlist.is_line_allowlisted"
# detect-secrets knows no keys of the providers that people here use.
OTHERS = {"Aliyun access key": re.compile(r"\bLTAI[0-9A-Za-z]{12,26}\b")}
MESSAGES = "(commit messages)"


@dataclass(frozen=True)
class Finding:
    """Something that looks like a secret, and where."""

    path: str
    kind: str
    secret: str

    @property
    def fingerprint(self) -> str:
        """Tells this one from others without telling it."""
        return hashlib.sha256(f"{self.path}\0{self.secret}".encode()).hexdigest()[:16]


def git(folder: Path, *command: str, given: bytes = b"") -> bytes:
    """What git prints."""
    return subprocess.run(["git", *command], cwd=folder, input=given, capture_output=True, check=True).stdout


def blobs(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Path and content of every version of every file that any branch, tag or stash reaches."""
    listed = git(folder, "rev-list", "--objects", "--all").decode(errors="replace").splitlines()
    paths = dict(line.split(" ", 1) for line in listed if " " in line)
    content = git(folder, "cat-file", "--batch", given="".join(f"{name}\n" for name in paths).encode())
    position = 0
    while position < len(content):
        end = content.index(b"\n", position)
        name, kind, size = content[position:end].decode().split()
        start, position = end + 1, end + 2 + int(size)
        if kind == "blob":
            yield paths[name], content[start : position - 1]


def texts(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Everything to look through, with the path that it is told by."""
    yield MESSAGES, git(folder, "log", "--all", "--format=%an <%ae>%n%B")
    yield from blobs(folder)
    listed = git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard").decode().split("\0")
    for path in filter(None, listed):
        if (folder / path).is_file():
            yield path, (folder / path).read_bytes()


def lines_by_path(folder: Path) -> dict[str, list[str]]:
    """Each line that has ever stood in a file, once; files that are no text left out."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for path, content in texts(folder):
        if b"\0" not in content:
            found[path].update(dict.fromkeys(content.decode(errors="replace").splitlines()))
    return {path: list(lines) for path, lines in found.items()}


def find_secrets(folder: Path) -> list[Finding]:
    """Everything in the repository at `folder` that looks like a secret, allowed or not."""
    found: set[Finding] = set()
    with tempfile.TemporaryDirectory() as scratch, default_settings():
        get_settings().disable_filters(EXCUSE)
        for number, (path, lines) in enumerate(lines_by_path(folder).items()):
            # The end of the name tells detect-secrets how the language quotes.
            copy = Path(scratch) / f"{number}-{os.path.basename(path)}"
            copy.write_text("\n".join(lines) + "\n")
            found |= {Finding(path, secret.type, secret.secret_value or "") for secret in scan_file(str(copy))}
            for kind, pattern in OTHERS.items():
                found |= {Finding(path, kind, match) for match in pattern.findall("\n".join(lines))}
    return sorted(found, key=lambda finding: (finding.path, finding.kind, finding.fingerprint))


def allowed(text: str) -> dict[str, str]:
    """Reason by fingerprint. Each line is `fingerprint path reason`; one without a reason is an error."""
    found = {}
    for line in filter(None, (line.partition("#")[0].strip() for line in text.splitlines())):
        fingerprint, _path, reason = line.split(maxsplit=2)
        found[fingerprint] = reason
    return found


def first_commit(folder: Path, finding: Finding) -> str:
    """Where the secret came into the history."""
    hashes = git(folder, "log", "--all", "--reverse", "--format=%h", f"-S{finding.secret}").decode().split()
    return f"since {hashes[0]}" if hashes else "not committed, or in a message"


def main(folder: Path) -> int:
    """Print what was found; 1 where a secret was."""
    if git(folder, "rev-parse", "--is-shallow-repository").strip() == b"true":
        print("THE HISTORY IS CUT OFF in this checkout: only the commits that are here were read", file=sys.stderr)
    reasons = allowed(ALLOWED.read_text())
    findings = find_secrets(folder)
    wrong = [finding for finding in findings if finding.fingerprint not in reasons]
    commits = git(folder, "rev-list", "--all", "--count").decode().strip()
    print(f"{commits} commits read: {len(findings) - len(wrong)} values that are no secrets, {len(wrong)} that may be")
    for finding in wrong:
        print(f"{finding.path}: {finding.kind}, {first_commit(folder, finding)}", file=sys.stderr)
        print(f"    if it is none, allow it: {finding.fingerprint} {finding.path} REASON", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT))
