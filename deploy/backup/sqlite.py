"""SQLite by its online backup, while the site writes."""

import gzip
import os
import shutil
import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from deploy.backup.databases import Database
from deploy.backup.errors import BackupError
from deploy.backup.servers import GZIP_LEVEL

BUSY_SECONDS = 60.0


class SQLite(Database):
    """A copy of the database file, compressed."""

    label = "SQLite"

    @property
    def path(self) -> Path:
        """The file of the database."""
        return Path(self.url.database or "")

    def dump(self, path: Path) -> None:
        """See `Database`. All pages are copied in one read transaction, beside which writers go on."""
        if not self.path.is_file():
            raise BackupError(f"there is no database {self.path}")
        copy = self.private / "copy.db"
        self.private_file(copy.name, "")
        try:
            with (
                closing(sqlite3.connect(f"{self.path.as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS)) as source,
                closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
        except sqlite3.Error as error:
            raise BackupError(f"the database cannot be copied: {error}") from error
        with copy.open("rb") as plain, gzip.open(path, "xb", compresslevel=GZIP_LEVEL) as packed:
            shutil.copyfileobj(plain, packed, 2**20)
        copy.unlink()

    def load(self, path: Path) -> None:
        """See `Database`. The file takes its place only after SQLite has checked it."""
        fresh = self.path.with_name(f".{self.path.name}.restored")
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with gzip.open(path, "rb") as packed, os.fdopen(handle, "wb") as plain:
                shutil.copyfileobj(packed, plain, 2**20)
                plain.flush()
                os.fsync(plain.fileno())
            with closing(sqlite3.connect(fresh)) as connection:
                result = connection.execute("PRAGMA quick_check").fetchone()
            if result != ("ok",):
                raise BackupError(f"the database of the archive is damaged: {result[0]}")
            self.clear()
            fresh.rename(self.path)
        except (sqlite3.Error, gzip.BadGzipFile) as error:
            raise BackupError(f"the database of the archive is damaged: {error}") from error
        finally:
            for suffix in ("", "-wal", "-shm"):
                fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)

    def clear(self, tables: Collection[str] = ()) -> None:
        """See `Database`. The file is removed, with the two beside it."""
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def tables(self) -> list[str]:
        """See `Database`. To ask makes no file."""
        return super().tables() if self.path.exists() else []
