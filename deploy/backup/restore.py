"""Restores a backup into an empty site, and deletes again who has deleted the account since.

Before anything of the site is touched, the whole archive is read and checked.
"""

import itertools
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import cast

import flask_migrate
from redis import Redis

from config.schedule import HEARTBEAT_SECONDS
from config.settings import ROOT, Settings
from deploy.backup.archive import Manifest, read_archive
from deploy.backup.errors import BackupError
from deploy.backup.keys import read_identities
from deploy.backup.site import BackedSite, backed_site
from deploy.backup.work_folder import only_one
from deploy.operate.steps import say
from swiper.db.checks import VERSIONS
from swiper.db.partitions import is_part
from swiper.db.revisions import is_behind, known_revisions
from swiper.extensions import db
from swiper.profiles import deletion_list
from swiper.profiles.accounts import repeat_deletion
from swiper.profiles.models import User
from swiper.profiles.restored_files import reconcile_files
from swiper.tasks.heartbeat import Part, heartbeat_name

STAGING = ".restore-"


@dataclass(frozen=True)
class Options:
    """What is asked for.

    `deletions` are folders of lists of deleted accounts, beside that of the site itself. `is_replacing` allows to
    remove what the site has.
    """

    archive: Path
    key: Path | None = None
    deletions: tuple[Path, ...] = ()
    without_deletions: bool = False
    is_replacing: bool = False
    is_dry_run: bool = False


def restore(options: Options, work_folder: Path) -> None:
    """Restore an archive; a dry run checks everything, also the archive, and changes nothing.

    Raises BackupError and OSError. If the site is empty no more then, a second try needs `is_replacing`.
    """
    identities = read_identities(options.key) if options.key else []
    work_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with only_one(work_folder), backed_site(work_folder) as site:
        for left in site.settings.instance.glob(f"{STAGING}*"):
            shutil.rmtree(left)
        _refuse_running(site)
        if not options.is_replacing:
            _refuse_data(site)
        deletions = _read_deletions(site, options)
        # Beside the folder of pictures, so that they need not be copied once more.
        with tempfile.TemporaryDirectory(prefix=STAGING, dir=site.settings.instance) as name:
            staging = Path(name)
            say(f"read {options.archive} and check it")
            manifest = read_archive(options.archive, identities, None if options.is_dry_run else staging)
            _check(site, manifest, options)
            if options.is_dry_run:
                _tell_plan(manifest, deletions, options)
                return
            with _marking_half_done(site.settings):
                _restore(site, staging, manifest, deletions, options)


def _refuse_running(site: BackedSite) -> None:
    """Raise BackupError if beat or a worker writes a heartbeat. The last ones of a site that was stopped only end."""
    keys = [f"{site.settings.key_prefix}{heartbeat_name(part)}" for part in Part]
    with site.redis.connected() as client:
        before = _values(client, keys)
        if any(before):
            say("see whether the site still runs")
            time.sleep(1.5 * HEARTBEAT_SECONDS)
        runs = any(after > former for former, after in zip(before, _values(client, keys), strict=True))
    if runs:
        raise BackupError("the site runs; stop it on all machines")


def _values(client: Redis, keys: list[str]) -> list[int]:
    """Return when each heartbeat was written, in seconds since 1970, or 0 for one that has ended."""
    # One by one, since they may be in different slots of a cluster.
    return [int(cast(bytes | None, client.get(key)) or 0) for key in keys]


def _refuse_data(site: BackedSite) -> None:
    found = []
    tables = set(site.database.tables())
    if foreign := {name for name in tables - own_tables() if not is_part(name)}:
        found.append(f"the database has the tables {', '.join(sorted(foreign))}")
    # A site that was installed and never used has a schema.
    if User.__tablename__ in tables and site.database.has_rows(User.__tablename__):
        found.append("the database has people")
    if any(site.settings.media_dir.glob("*/*")):
        found.append(f"{site.settings.media_dir} has pictures")
    if site.redis.is_used():
        found.append("Redis has sessions, codes or budgets of people")
    if found:
        raise BackupError(f"the site is not empty: {', '.join(found)}. --replace removes all of it")


def own_tables() -> set[str]:
    """Return the names of the tables of this release."""
    return {*db.metadata.tables, VERSIONS}


def _read_deletions(site: BackedSite, options: Options) -> dict[int, datetime]:
    own: Path = site.app.config["DELETION_LIST_DIR"]
    missing = [str(folder) for folder in options.deletions if not folder.is_dir()]
    if missing:
        raise BackupError(f"there is no list of deleted accounts in {', '.join(missing)}")
    folders = [*options.deletions, own]
    if not options.without_deletions and not any(map(deletion_list.files_in, folders)):
        raise BackupError(
            f"there is no list of deleted accounts in {', '.join(map(str, folders))}: whoever has deleted the account "
            "after the backup would be back. Name its folder (--deletions), or say --without-deletions"
        )
    return deletion_list.read(folders)


def _check(site: BackedSite, manifest: Manifest, options: Options) -> None:
    say(f"it is of {manifest.made_at}, release {manifest.version}, schema {', '.join(manifest.schema)}")
    if manifest.database != site.database.kind:
        raise BackupError(f"the backup is of {manifest.database}; DATABASE_URL names {site.database.kind}")
    _, known = known_revisions()
    if not known.issuperset(manifest.schema):
        raise BackupError("the backup has the schema of a newer release; install that one first")
    if manifest.key_check != site.key_check:
        say("note: SECRET_KEY is another than that of the backup; set the former one, or see docs/keys.md")
    made_on = datetime.fromisoformat(manifest.made_at).date()
    with site.app.app_context():
        oldest: date = deletion_list.oldest_day()
    if made_on < oldest and not options.without_deletions:
        raise BackupError(
            f"the backup is older than the lists of deleted accounts, which begin on {oldest} (DELETION_LIST_DAYS). "
            "--without-deletions restores it all the same"
        )


def _tell_plan(manifest: Manifest, deletions: dict[int, datetime], options: Options) -> None:
    if options.is_replacing:
        say("would remove what database, folder of pictures and Redis have")
    say(f"would restore the database, {manifest.media.count} pictures, what was kept of Redis")
    say(f"would delete again who is there of {len(deletions)} deleted accounts")


@contextmanager
def _marking_half_done(settings: Settings) -> Iterator[None]:
    """Keep the site from starting until all is done, also after this process was killed."""
    mark = settings.restore_mark
    mark.touch()
    try:
        yield
    except BaseException:
        say("the site is restored in part and does not start; repeat with --replace")
        raise
    mark.unlink()


def _restore(
    site: BackedSite, staging: Path, manifest: Manifest, deletions: dict[int, datetime], options: Options
) -> None:
    with site.schema_held():
        _load(site, staging, options)
    say("put the pictures in place")
    _place_pictures(staging / "media", site.settings.media_dir)
    with site.app.app_context():
        if is_behind(manifest.schema):
            say("upgrade the schema to that of this release")
            flask_migrate.upgrade(str(ROOT / "migrations"))
        # Before the deletions, which are to count no use of Redis that they end.
        count, unread = site.redis.restore(staging / "redis")
        say(f"{count} values of Redis are restored")
        if unread:
            say(f"note: {unread} were written by a later version of Redis, and are left out")
        deleted = sum(repeat_deletion(uid, deleted_at) for uid, deleted_at in sorted(deletions.items()))
        say(f"{deleted} of {len(deletions)} deleted accounts were back and are deleted again")
        strays, lost = reconcile_files()
        db.session.remove()
    _keep_lists(options.deletions, site.app.config["DELETION_LIST_DIR"])
    say(f"{strays} files that belong to nobody are removed; {lost} pictures had no file and are taken away")
    kept = site.settings.instance / f"settings-{datetime.fromisoformat(manifest.made_at):%Y%m%dT%H%M%SZ}.env"
    (staging / "settings").chmod(0o600)
    (staging / "settings").replace(kept)
    say(f"restored; the settings of the backup are in {kept}, compare them with .env")


def _load(site: BackedSite, staging: Path, options: Options) -> None:
    if present := own_tables().intersection(site.database.tables()):
        say("remove the tables that are there")
        site.database.clear(present)
    if options.is_replacing:
        say("remove what Redis and the folder of pictures have")
        site.redis.clear()
        shutil.rmtree(site.settings.media_dir, ignore_errors=True)
    site.redis.clear_derived(site.app.config["CACHE_KEY_PREFIX"])
    say(f"load the database ({site.database.label})")
    site.database.load(staging / "database")


def _keep_lists(folders: Sequence[Path], own: Path) -> None:
    """Copy the lists of deleted accounts that were given to that of the site, for a restore of another backup."""
    for path in itertools.chain.from_iterable(map(deletion_list.files_in, folders)):
        copy = own / path.name
        if not copy.exists():
            own.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.copy(path, copy)
            copy.chmod(0o600)


def _place_pictures(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for folder in sorted(source.iterdir()) if source.is_dir() else []:
        (target / folder.name).mkdir(exist_ok=True)
        for path in folder.iterdir():
            # They are copied if the folder of pictures is on another disk.
            shutil.move(path, target / folder.name / path.name)
