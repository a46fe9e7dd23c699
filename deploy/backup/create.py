"""Makes a backup while the site runs: database, then pictures, then what is kept of Redis, then settings."""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from deploy.backup import retention
from deploy.backup.archive import PICTURE, Manifest, Writer, is_intact, new_archive
from deploy.backup.databases import unreachable
from deploy.backup.errors import BackupError
from deploy.backup.hold import removals_held
from deploy.backup.keys import read_recipients
from deploy.backup.settings_part import write_settings
from deploy.backup.site import BackedSite, backed_site, version_of_code
from deploy.backup.work_folder import only_one
from deploy.operate.steps import say
from swiper.clock import now
from swiper.db.checks import current_heads


@dataclass(frozen=True)
class Options:
    """What is asked for. `key` is a file; the `keep` newest archives stay, and all younger than `keep_days`."""

    folder: Path
    key: Path | None = None
    keep: int = 7
    keep_days: int = 0
    with_sessions: bool = False
    with_secrets: bool = False
    is_dry_run: bool = False


def create(options: Options) -> Path | None:
    """Make a backup, then remove those that are too old. Return its path, or None in a dry run.

    Raises BackupError and OSError. Then there is no new archive, and the former ones are all there.
    """
    if (options.with_sessions or options.with_secrets) and options.key is None:
        raise BackupError("sessions and secrets go into an encrypted backup alone; name a key (--key)")
    recipients = read_recipients(options.key) if options.key else []
    made_at = now().replace(microsecond=0)
    path = options.folder / retention.archive_name(made_at, is_encrypted=bool(recipients))
    if options.is_dry_run:
        _tell_plan(options, path)
        return None
    options.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with only_one(options.folder):
        if path.exists():
            raise BackupError(f"{path} is there already; try again in a second")
        with backed_site(options.folder) as site, new_archive(path, recipients) as archive:
            say(f"write {path}")
            manifest = _fill(site, archive, options, made_at)
        say(
            f"{_mb(path.stat().st_size)} MB: database {_mb(manifest.parts['database'].size)} MB, "
            f"{manifest.media.count} pictures {_mb(manifest.media.size)} MB"
        )
        if not is_intact(path):
            raise BackupError(f"{path} is not what was written; the disk may fail. No older backup is removed")
        _prune(options, made_at, path)
    return path


def _tell_plan(options: Options, path: Path) -> None:
    say(
        f"would write {path}: database, pictures, Redis {'with' if options.with_sessions else 'without'} sessions, "
        f"settings {'with' if options.with_secrets else 'without'} secrets"
    )
    if options.folder.is_dir():
        # With the new one there is one more.
        for old in retention.superfluous(options.folder, keep=options.keep - 1, keep_days=options.keep_days, at=now()):
            say(f"would remove {old}")


def _fill(site: BackedSite, archive: Writer, options: Options, made_at: datetime) -> Manifest:
    work = site.private
    with site.schema_held(), removals_held(site.app):
        say(f"dump the database ({site.database.label})")
        schema = _schema_of(site)
        site.database.dump(work / "database")
        archive.add("database", work / "database")
        (work / "database").unlink()
        say("copy the pictures")
        _add_pictures(site.settings.media_dir, archive)
    say("copy what is kept of Redis")
    site.redis.save(work / "redis", with_sessions=options.with_sessions)
    archive.add("redis", work / "redis")
    write_settings(site.settings, work / "settings", with_secrets=options.with_secrets)
    archive.add("settings", work / "settings")
    version, revision = version_of_code()
    return archive.finish(
        Manifest(
            made_at=made_at.isoformat(),
            version=version,
            revision=revision,
            database=site.database.kind,
            schema=schema,
            key_check=site.key_check,
            has_sessions=options.with_sessions,
            has_secrets=options.with_secrets,
        )
    )


def _schema_of(site: BackedSite) -> list[str]:
    engine = create_engine(site.database.url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            found = sorted(current_heads(connection))
    except SQLAlchemyError as error:
        raise unreachable(error) from error
    if not found:
        raise BackupError("the database has no schema; there is nothing to back up")
    return found


def _add_pictures(media: Path, archive: Writer) -> None:
    folders = sorted(path for path in media.iterdir() if path.is_dir()) if media.is_dir() else []
    for folder in folders:
        for name in sorted(os.listdir(folder)):
            # Whatever else lies there, such as a picture that is just being written, is no picture of the database.
            if PICTURE.fullmatch(f"media/{folder.name}/{name}"):
                archive.add_picture(f"{folder.name}/{name}", folder / name)


def _prune(options: Options, made_at: datetime, newest: Path) -> None:
    for old in retention.superfluous(
        options.folder, keep=options.keep, keep_days=options.keep_days, at=made_at, intact=newest
    ):
        say(f"remove {old}")
        retention.remove(old)


def _mb(size: int) -> str:
    return f"{size / 1_000_000:,.1f}"
