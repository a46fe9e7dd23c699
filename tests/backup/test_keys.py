"""Keys are files of age: the public one is enough to make backups, and opens none."""

import stat
from pathlib import Path

import pytest

from deploy.backup.__main__ import main
from deploy.backup.errors import BackupError
from deploy.backup.keys import make_key, read_identities, read_recipients


def test_a_new_key_is_for_its_owner_alone_and_replaces_none(tmp_path: Path) -> None:
    path = tmp_path / "key"
    public = make_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert public.startswith("age1")
    before = path.read_text()
    assert main(["key", str(path)]) == 1
    assert path.read_text() == before


def test_the_public_key_only_encrypts(tmp_path: Path) -> None:
    public = make_key(tmp_path / "key")
    (tmp_path / "public").write_text(f"# the backups of our site\n\n{public}\n")
    assert [str(each) for each in read_recipients(tmp_path / "public")] == [public]
    assert [str(each) for each in read_recipients(tmp_path / "key")] == [public]
    with pytest.raises(BackupError, match="no secret key"):
        read_identities(tmp_path / "public")


@pytest.mark.parametrize(
    "content", [b"", b"# nothing\n", b"password\n", b"age1notakey\n", b"AGE-SECRET-KEY-1X\n", b"\xff\n"]
)
def test_what_is_no_key_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    for read in (read_recipients, read_identities):
        with pytest.raises(BackupError) as told:
            read(path)
        assert "password" not in str(told.value)
        assert "notakey" not in str(told.value)
    with pytest.raises(BackupError):
        read_recipients(tmp_path / "missing")
