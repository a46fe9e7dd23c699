"""An archive is whole or refused: cut off, changed, opened with another key, or made by somebody else."""

import io
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from deploy.backup.archive import Manifest, is_intact, new_archive, read_archive, sum_of
from deploy.backup.errors import BackupError
from deploy.backup.keys import make_key, read_identities, read_recipients
from deploy.backup.streams import HashingWriter, encrypted

DUMP = bytes(range(256)) * 2_000
KEYS = [f"{number:02x}/{number:032x}.jpg" for number in range(3)]


def manifest() -> Manifest:
    return Manifest(
        made_at="2026-03-10T04:00:00+00:00",
        version="1.0.0",
        revision="",
        database="sqlite",
        schema=["0010"],
        key_check="0" * 16,
        has_sessions=False,
        has_secrets=False,
    )


@pytest.fixture
def key(tmp_path: Path) -> Path:
    make_key(tmp_path / "key")
    return tmp_path / "key"


def write(folder: Path, key: Path | None = None) -> Path:
    """A backup with one part and three pictures."""
    (folder / "dump").write_bytes(DUMP)
    (folder / "picture").write_bytes(b"\xff\xd8picture")
    path = folder / f"backup.tar{'.age' if key else ''}"
    with new_archive(path, read_recipients(key) if key else []) as archive:
        archive.add("database", folder / "dump")
        for name in KEYS:
            assert archive.add_picture(name, folder / "picture")
        assert not archive.add_picture("ff/gone.jpg", folder / "gone")
        archive.finish(manifest())
    return path


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_what_was_written_is_read_again(tmp_path: Path, key: Path, is_encrypted: bool) -> None:
    path = write(tmp_path, key if is_encrypted else None)
    found = read_archive(path, read_identities(key), tmp_path / "restored")
    assert (found.media.count, found.media.size) == (3, 3 * 9)
    assert (tmp_path / "restored/database").read_bytes() == DUMP
    assert (
        sorted(str(each.relative_to(tmp_path / "restored/media")) for each in tmp_path.glob("restored/media/*/*"))
        == KEYS
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (b"picture" in path.read_bytes()) is not is_encrypted


def test_the_checksum_beside_it_is_that_of_sha256sum(tmp_path: Path) -> None:
    path = write(tmp_path)
    subprocess.run(["sha256sum", "--check", "--quiet", sum_of(path).name], cwd=tmp_path, check=True)
    assert is_intact(path)
    with path.open("r+b") as file:
        file.seek(5_000)
        file.write(b"?")
    assert not is_intact(path)


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_an_archive_that_is_cut_off_anywhere_is_refused(tmp_path: Path, key: Path, is_encrypted: bool) -> None:
    path = write(tmp_path, key if is_encrypted else None)
    whole = path.read_bytes()
    # The last blocks of a plain tar are padding.
    end = len(whole) - 1 if is_encrypted else whole.rindex(b"manifest.json")
    for size in (0, 10, 100, 1_000, 70_000, len(whole) // 2, end):
        path.write_bytes(whole[:size])
        with pytest.raises(BackupError):
            read_archive(path, read_identities(key))


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_an_archive_that_was_changed_is_refused(tmp_path: Path, key: Path, is_encrypted: bool) -> None:
    path = write(tmp_path, key if is_encrypted else None)
    whole = bytearray(path.read_bytes())
    # In the middle of the dump, and of the last picture.
    for place in (200_000, whole.rindex(b"picture") if not is_encrypted else len(whole) - 11_000):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(BackupError, match="damaged"):
            read_archive(path, read_identities(key))


def test_another_key_and_no_key_open_nothing(tmp_path: Path, key: Path) -> None:
    path = write(tmp_path, key)
    make_key(tmp_path / "other")
    with pytest.raises(BackupError, match="this key does not open it"):
        read_archive(path, read_identities(tmp_path / "other"))
    with pytest.raises(BackupError, match="is encrypted"):
        read_archive(path, [])


def add_file(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


@pytest.mark.parametrize(
    "name", ["../outside", "/tmp/outside", "media/../../outside", "media/00/evil.php", "database/x"]
)
def test_an_archive_writes_nowhere_else(tmp_path: Path, name: str) -> None:
    path = tmp_path / "backup.tar"
    with tarfile.open(path, "w") as tar:
        add_file(tar, name, b"content")
    with pytest.raises(BackupError, match="no backup has"):
        read_archive(path, [], tmp_path / "restored")
    assert not list(tmp_path.rglob("outside"))


def test_a_link_in_an_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "backup.tar"
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("database")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(BackupError, match="no backup has"):
        read_archive(path, [], tmp_path / "restored")


def test_an_archive_of_a_later_format_is_refused_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "backup.tar"
    with tarfile.open(path, "w") as tar:
        add_file(tar, "manifest.json", b'{"format": 2}')
    with pytest.raises(BackupError, match="format 2"):
        read_archive(path, [])


def test_a_backup_that_fails_leaves_nothing_behind(tmp_path: Path, key: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    for recipients in ([], read_recipients(key)):
        with pytest.raises(FileNotFoundError), new_archive(folder / "backup.tar", recipients) as archive:
            archive.add("database", folder / "missing")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_a_full_disk_is_told_also_by_the_thread_that_encrypts(key: Path, is_encrypted: bool) -> None:
    recipients = read_recipients(key) if is_encrypted else []
    with (
        open("/dev/full", "wb", buffering=0) as full,
        pytest.raises(OSError, match="No space left"),
        encrypted(HashingWriter(full), recipients) as stream,
    ):
        stream.write(DUMP * 20)
