"""Which archives stay. The newest intact one always does."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deploy.backup.archive import is_intact, sum_of

NAME = re.compile(r"swiper-(\d{8}T\d{6}Z)\.tar(?:\.age)?")
TIME = "%Y%m%dT%H%M%SZ"


def archive_name(made_at: datetime, *, is_encrypted: bool) -> str:
    """Return the name of an archive, which sorts by its time."""
    return f"swiper-{made_at.astimezone(UTC):{TIME}}.tar{'.age' if is_encrypted else ''}"


def archives_in(folder: Path) -> list[Path]:
    """Return the archives of a folder, the newest first. Other files are not ours."""
    found = [path for path in folder.iterdir() if NAME.fullmatch(path.name) and path.is_file()]
    return sorted(found, key=time_of, reverse=True)


def time_of(path: Path) -> datetime:
    """Return when an archive was made, by its name."""
    match = NAME.fullmatch(path.name)
    assert match is not None, "archives alone have a time"
    return datetime.strptime(match[1], TIME).replace(tzinfo=UTC)


def superfluous(folder: Path, *, keep: int, keep_days: int, at: datetime, intact: Path | None = None) -> list[Path]:
    """Return the archives beyond the `keep` newest that are older than `keep_days`, the oldest last.

    There are none unless one of those that stay is intact: `intact`, of which the caller knows it, or one that is read.
    """
    found = archives_in(folder)
    oldest = at - timedelta(days=keep_days)
    old = [path for path in found[max(1, keep) :] if time_of(path) < oldest]
    staying = [path for path in found if path not in old]
    return old if old and (intact in staying or any(map(is_intact, staying))) else []


def remove(path: Path) -> None:
    """Remove an archive and its checksum. Raises OSError."""
    path.unlink()
    sum_of(path).unlink(missing_ok=True)
