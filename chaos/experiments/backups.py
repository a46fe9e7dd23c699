"""A backup under load is restored into an empty site, which then is compared with the one that it was made of."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Table, false, func, or_, select, true

from chaos.burst import RequestSpec
from chaos.consistency import half_written, lost_swipes
from chaos.lab import DATABASES, Lab
from chaos.members import Member
from chaos.report import Finding
from chaos.requests import upload_photo
from chaos.site import Site
from chaos.traffic import Crowd
from config.settings import ROOT
from deploy.backup.keys import make_key
from swiper.auth.login import restore_code
from swiper.extensions import db
from swiper.profiles.models import User

TARGET = (
    "each table has what it had during the backup, less the rows of the deleted account; every swipe acknowledged "
    "before is there, none half-written; a user sees the same; the deleted account is gone, with pictures and matches"
)
VIEW = ("/api/user/profile", "/api/social/friends", "/api/social/liked_me", "/api/vip/me")
DECK_GROUPS = 6
# Two of each sex for each city, so that nobody's deck is empty.
BYSTANDERS = 32
# What processes write for themselves, and what a deletion leaves on purpose.
PASSING = {
    "tombstones",
    "invalidations",
    "file_removals",
    "deleted_numbers",
    "ended_matches",
    "daily_figures",
    "backfills",
    "scores",
    "score_changes",
    "ranking_state",
}
USER_COLUMNS = ("uid", "sid", "uid1", "uid2")
CODE = "123456"
NOT_LOGGED_IN = 1001
Counts = dict[str, int]


@dataclass(frozen=True)
class Quiet:
    """Somebody whom the crowd leaves alone, with two matches, two likers and a photo; `gone` deletes the account."""

    member: Member
    stays: Member
    gone: Member
    likers: tuple[Member, Member]


@dataclass(frozen=True)
class Saved:
    """A backup: its file, the seconds that it took, and the rows of each table right before and after it."""

    archive: Path
    seconds: float
    before: Counts
    after: Counts


class RestoredSite(Site):
    """A site whose data come from a backup; nothing of it runs meanwhile but its Redis."""

    def __init__(self, place: tuple[Path, str], arguments: Sequence[object], **changes: Any) -> None:
        super().__init__(*place, **changes)
        self.arguments = arguments
        self.seconds = 0.0

    def prepare_database(self) -> None:
        """See `Site`."""
        self.seconds = run_backup(self, "restore", *self.arguments, "--work", self.folder)


def backups_bring_a_site_back(lab: Lab) -> Iterator[Finding]:
    """Back up each database under load, go on, delete an account, restore into an empty site, compare."""
    key = lab.folder / "backup.key"
    make_key(key)
    for database in DATABASES:
        yield _drill(lab, database, key)


def run_backup(site: Site, *arguments: object) -> float:
    """Run `python -m deploy.backup` on a site. Return the seconds that it took. Raises AssertionError if it fails."""
    started = time.monotonic()
    command = [sys.executable, "-m", "deploy.backup", *map(str, arguments)]
    done = subprocess.run(command, env=site.env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return time.monotonic() - started


def _drill(lab: Lab, database: str, key: Path) -> Finding:
    # Sweeps add nothing to the short form but the time of their start.
    shape = {"instances": lab.count(2, 1), "has_celery": not lab.is_short}
    with lab.new_site(database, **shape) as site:
        quiet = _prepare(site)
        with Crowd(site, lab.count(80, 24), clients=lab.count(6, 2)) as crowd:
            crowd.serve_more(lab.count(2_000, 100))
            told = list(crowd.swipes)
            saved = _save(site, lab.folder / f"backups-{database}", key)
            crowd.serve_more(lab.count(1_000, 50))
        own = _count_rows(site, quiet.gone.id)
        pictures = _pictures(site)
        _delete_account(site, quiet.gone)
        view = _view(site, quiet.member)
        deletions = site.settings.instance / "deletions"
        arguments = (saved.archive, "--key", key, "--deletions", deletions)
        with RestoredSite(lab.new_place(database), arguments, **shape) as restored:
            faults = [
                *_differing_tables(saved, own, _count_rows(restored)),
                *lost_swipes(restored, told),
                *half_written(restored, [member.id for member in crowd.members]),
                *_differing_views(view, _view(restored, *restored.open_sessions([quiet.member.id]))),
                *_left_of(restored, quiet.gone, len(pictures)),
            ]
            rows = sum(_count_rows(restored).values())
            seconds = restored.seconds
    faults += crowd.failures
    for text in faults[:10]:
        print(f"     {text}")
    return Finding(
        f"backup and restore, {database}",
        f"{len(crowd.swipes):,} swipes, {len(told):,} of them before the backup; an account with photo and matches is "
        "deleted after it",
        TARGET,
        f"{len(faults)} faults; {saved.archive.stat().st_size / 1e6:.2f} MB, encrypted, in {saved.seconds:.1f} s; "
        f"{rows:,} rows and {len(pictures) - 1} pictures restored in {seconds:.1f} s, start of Python included",
        not faults and len(crowd.swipes) > len(told) > 0,
    )


def _prepare(site: Site) -> Quiet:
    site.add_members(BYSTANDERS)
    member, stays, gone, *likers = site.add_members(5, vip=3)
    site.prepare(*[upload_photo(each) for each in (member, stays, gone)])
    site.prepare(*[member.swipe("like", other) for other in (stays, gone)])
    site.prepare(*[other.swipe("superlike", member) for other in (stays, gone, *likers)])
    return Quiet(member, stays, gone, (likers[0], likers[1]))


def _save(site: Site, folder: Path, key: Path) -> Saved:
    before = _count_rows(site)
    seconds = run_backup(site, "create", "--to", folder, "--key", key)
    (archive,) = folder.glob("*.tar.age")
    return Saved(archive, seconds, before, _count_rows(site))


def _count_rows(site: Site, uid: int | None = None) -> Counts:
    """The rows of each table, or those that have the id of one user."""
    with site.looking() as session:
        return {
            table.name: session.scalar(select(func.count()).select_from(table).where(_is_about(table, uid)))
            for table in db.metadata.sorted_tables
            if table.name not in PASSING
        }


def _is_about(table: Table, uid: int | None) -> ColumnElement[bool]:
    if uid is None:
        return true()
    names = ("id",) if table.name == User.__tablename__ else USER_COLUMNS
    return or_(false(), *[table.c[name] == uid for name in names if name in table.c])


def _delete_account(site: Site, member: Member) -> None:
    with site.looking() as session:
        restore_code(session.get_one(User, member.id).phone, CODE, 60_000)
    site.prepare(RequestSpec("DELETE", "/api/user/account", {"vcode": CODE}, member.session_id))


def _view(site: Site, member: Member) -> dict[str, Any]:
    """What a user sees: every page of their own, the people of the deck, and the bytes of the photos."""
    pages = {path: site.ask(member.get(path)).data for path in VIEW}
    groups = [site.ask(member.get(f"/api/social/users?group_num={number}")).data for number in range(DECK_GROUPS)]
    photos = [photo["url"] for photo in pages["/api/user/profile"]["photos"]]
    return pages | {
        "deck": [card for group in groups for card in group["users"]],
        "photos": [site.ask(RequestSpec("GET", url)).body for url in photos],
    }


def _differing_tables(saved: Saved, own: Counts, found: Counts) -> list[str]:
    return [
        f"{table} has {count} rows, and not {saved.before[table] - own[table]} to {saved.after[table] - own[table]}"
        for table, count in found.items()
        if not saved.before[table] - own[table] <= count <= saved.after[table] - own[table]
    ]


def _differing_views(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    assert before["deck"], "the deck is empty, which compares nothing"
    assert before["photos"], "there is no photo"
    return [
        f"{page} is another: {after[page]} and not {before[page]}" for page in before if before[page] != after[page]
    ]


def _left_of(site: Site, gone: Member, pictures: int) -> list[str]:
    left = {table: count for table, count in _count_rows(site, gone.id).items() if count}
    faults = [f"{count} rows of the deleted account in {table}" for table, count in left.items()]
    if len(_pictures(site)) != pictures - 1:
        faults.append(f"{len(_pictures(site))} pictures, and not {pictures - 1}")
    (member,) = site.open_sessions([gone.id])
    code = site.ask(member.get("/api/user/profile")).code
    return faults + ([] if code == NOT_LOGGED_IN else [f"the deleted account is answered {code}"])


def _pictures(site: Site) -> set[str]:
    return {path.name for path in site.settings.media_dir.glob("*/*")}
