"""Old archives are removed, and never the last one that is good."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.backup.archive import sum_of
from deploy.backup.retention import archive_name, archives_in, remove, superfluous

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def add(folder: Path, days_ago: int, *, is_intact: bool = True) -> Path:
    path = folder / archive_name(NOON - timedelta(days=days_ago), is_encrypted=bool(days_ago % 2))
    path.write_bytes(b"content" if is_intact else b"conten")
    sum_of(path).write_text(f"{hashlib.sha256(b'content').hexdigest()}  {path.name}\n")
    return path


def test_the_newest_stay_and_all_of_the_last_days(tmp_path: Path) -> None:
    paths = [add(tmp_path, days) for days in range(6)]
    assert superfluous(tmp_path, keep=2, keep_days=0, at=NOON) == paths[2:]
    assert superfluous(tmp_path, keep=2, keep_days=4, at=NOON) == paths[5:]
    assert superfluous(tmp_path, keep=5, keep_days=1, at=NOON) == paths[5:]
    assert superfluous(tmp_path, keep=9, keep_days=0, at=NOON) == []


def test_one_stays_whatever_is_asked_for(tmp_path: Path) -> None:
    paths = [add(tmp_path, days) for days in range(3)]
    assert superfluous(tmp_path, keep=0, keep_days=0, at=NOON) == paths[1:]


def test_nothing_is_removed_while_no_archive_that_stays_is_intact(tmp_path: Path) -> None:
    newest, second, good = add(tmp_path, 0, is_intact=False), add(tmp_path, 1, is_intact=False), add(tmp_path, 2)
    assert superfluous(tmp_path, keep=2, keep_days=0, at=NOON) == []
    sum_of(newest).unlink()
    assert superfluous(tmp_path, keep=1, keep_days=0, at=NOON) == []
    assert superfluous(tmp_path, keep=2, keep_days=0, at=NOON, intact=good) == []
    assert superfluous(tmp_path, keep=2, keep_days=0, at=NOON, intact=newest) == [good]
    second.write_bytes(b"content")
    assert superfluous(tmp_path, keep=2, keep_days=0, at=NOON) == [good]


def test_other_files_are_not_ours(tmp_path: Path) -> None:
    add(tmp_path, 0)
    for name in (
        "notes.txt",
        "swiper-20260101T000000Z.tar.gz",
        "swiper-20260101T000000Z.tar.partial",
        "old-swiper.tar",
    ):
        (tmp_path / name).write_text("")
    (tmp_path / "swiper-20260102T000000Z.tar").mkdir()
    assert superfluous(tmp_path, keep=1, keep_days=0, at=NOON) == []


@pytest.mark.parametrize("has_sum", [True, False])
def test_an_archive_goes_with_its_checksum(tmp_path: Path, has_sum: bool) -> None:
    path = add(tmp_path, 3)
    if not has_sum:
        sum_of(path).unlink()
    assert archives_in(tmp_path) == [path]
    remove(path)
    assert list(tmp_path.iterdir()) == []
