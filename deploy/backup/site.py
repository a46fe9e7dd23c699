"""The site that a backup is made of, or restored into: its application, its database and its Redis."""

import hmac
import logging
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from flask import Flask
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from config.load import load_settings
from config.settings import ROOT, ConfigurationError, Settings
from deploy.backup.databases import Database, unreachable
from deploy.backup.errors import BackupError
from deploy.backup.redis_snapshot import SiteRedis
from deploy.backup.servers import MariaDB, Postgres
from deploy.backup.sqlite import SQLite
from deploy.embedded_redis import NoServerError, answers, redis_command
from deploy.processes import Processes, wait_until
from swiper import VERSION, create_app
from swiper.db.upgrades import UpgradeError, upgrade_lock
from swiper.extensions import db

DATABASES: dict[str, type[Database]] = {"postgresql": Postgres, "mysql": MariaDB, "sqlite": SQLite}
REDIS_SECONDS = 60


@dataclass
class BackedSite:
    """A site by its settings; `private` is a folder that only its owner can read and that is removed at the end."""

    settings: Settings
    private: Path

    @cached_property
    def app(self) -> Flask:
        """The application, which connects to nothing until it is used."""
        return create_app(self.settings)

    @cached_property
    def database(self) -> Database:
        """Its database. Raises BackupError for one that has no tool here."""
        url = make_url(self.settings.database_url)
        kind = DATABASES.get(url.get_backend_name())
        if kind is None:
            raise BackupError(f"there is no backup of databases such as {url.get_backend_name()}")
        return kind(url, self.private)

    @cached_property
    def redis(self) -> SiteRedis:
        """Its keys in Redis."""
        return SiteRedis(self.settings.redis_url, self.settings.key_prefix)

    @contextmanager
    def schema_held(self) -> Iterator[None]:
        """Keep other processes, also of other machines, from changing the schema or loading a backup meanwhile.

        Raises BackupError if one does so already, or if the database is away.
        """
        engine = create_engine(self.database.url, poolclass=NullPool)
        with ExitStack() as stack:
            try:
                stack.enter_context(upgrade_lock(engine, wait_seconds=0))
            except UpgradeError:
                raise BackupError(
                    "the schema of this database is being changed, or another backup or restore uses it; "
                    "try again when that has ended"
                ) from None
            except SQLAlchemyError as error:
                raise unreachable(error) from error
            yield

    def close(self) -> None:
        """Give back the connections of the application, if it was used."""
        if "app" in vars(self):
            # It would tell the operator of each pool.
            logging.getLogger("swiper.db.servers").setLevel(logging.WARNING)
            with self.app.app_context():
                db.session.remove()
                for engine in db.engines.values():
                    engine.dispose()
            self.app.extensions["redis"].close()

    @property
    def key_check(self) -> str:
        """What tells whether two sites have the same SECRET_KEY, and nothing about the key."""
        return hmac.digest(self.settings.secret_key.encode(), b"key check of backups", "sha256").hex()[:16]


@contextmanager
def backed_site(work_folder: Path) -> Iterator[BackedSite]:
    """Yield the site of the settings, with its embedded Redis running if it has one. Raises BackupError."""
    try:
        settings = load_settings()
    except ConfigurationError as error:
        raise BackupError(str(error)) from error
    with tempfile.TemporaryDirectory(prefix=".work-", dir=work_folder) as private, _redis_of(settings):
        site = BackedSite(settings, Path(private))
        try:
            yield site
        finally:
            site.close()


@contextmanager
def _redis_of(settings: Settings) -> Iterator[None]:
    """Let the embedded Redis run meanwhile, if it is this site's and does not run already."""
    if not settings.is_embedded_redis or answers(settings.redis_socket):
        yield
        return
    processes = Processes()
    try:
        processes.start("redis", redis_command(settings.redis_socket, settings.instance / "valkey"))
        wait_until(lambda: answers(settings.redis_socket), REDIS_SECONDS, "the embedded Redis did not answer")
        yield
    except (NoServerError, TimeoutError) as error:
        raise BackupError(str(error)) from error
    finally:
        processes.stop_all()


def version_of_code() -> tuple[str, str]:
    """Return version and git revision of this code; the revision is empty where there is no checkout."""
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", "HEAD"],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "GIT_CEILING_DIRECTORIES": str(ROOT.parent)},
        )
    except FileNotFoundError:
        return VERSION, ""
    return VERSION, done.stdout.strip()
