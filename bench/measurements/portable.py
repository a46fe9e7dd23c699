"""The deck and the like on MariaDB and SQLite, whose statements are those of the portable way."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

from sqlalchemy import select

from bench.callers import Caller, pair_up
from bench.lab import Lab
from bench.load import repeated
from bench.measurements.reads import DECK, GROUPS, against, deck_lines, deck_of, not_dearer
from bench.measurements.round_trips import REQUESTS, count, likes_in_turn, row
from bench.measurements.writes import LIKE, likes_of
from bench.report import Row
from bench.servers import RoomyMariaDB
from bench.site import Site
from chaos.burst import RequestSpec
from chaos.servers import DatabaseServer
from swiper.extensions import db
from swiper.social.models import Swipe

DECK_ROUND_TRIPS, LIKE_ROUND_TRIPS = 3, 7


@dataclass(frozen=True)
class Database:
    """A database with its targets, as multiples of a bare Flask view; `server_type` is None where it is a file."""

    name: str
    server_type: type[DatabaseServer] | None
    deck_target: float
    like_target: float


MARIADB = Database("MariaDB", RoomyMariaDB, 4.5, 6.0)
SQLITE = Database("SQLite", None, 3.5, 5.0)


def portable(lab: Lab) -> Iterator[Row]:
    """Each database on sites of two sizes, which are there only meanwhile."""
    for database in (MARIADB, SQLITE):
        with ExitStack() as stack:
            extents = [
                replace(lab.extent, sizes=[size], rounds=lab.extent.portable_rounds) for size in lab.extent.portable
            ]
            smaller, own = [stack.enter_context(Site(extent, database.server_type)) for extent in extents]
            yield from _decks(database, smaller, own)
            yield from _likes(database, smaller, own)
            if own.server:
                yield from _round_trips(database, own)


def _decks(database: Database, smaller: Site, own: Site) -> Iterator[Row]:
    lines = deck_lines(own.callers())
    busy = own.callers(own.filled.busy)
    idle = own.callers(own.filled.idle[: len(busy)])
    with own.bare(lines[0], repeated(lines)) as bare:
        flask, among_few, among_many, of_idle, of_busy = own.compare(
            *(bare.flask, deck_of(smaller, smaller.callers()), own.swiper(repeated(lines))),
            *(deck_of(own, idle), deck_of(own, busy)),
        )
    what = f"{database.name}: GET {DECK}"
    yield against(what, flask, "bare Flask view", among_many, database.deck_target)
    yield not_dearer(f"{what} {_among(own)}", _among(smaller), among_few, among_many)
    yield not_dearer(f"{what} by callers with {_swiped(own, busy):,} swipes", "callers with none", of_idle, of_busy)


def _likes(database: Database, smaller: Site, own: Site) -> Iterator[Row]:
    busy = own.callers(own.filled.busy)
    usual = own.callers(own.fresh_callers[: len(busy)])
    swiped = _swiped(own, busy)
    contender = likes_of(own)
    (line,) = contender.source(1)
    with own.bare(line, repeated([line])) as bare:
        flask, among_few, among_many, of_usual, of_busy = own.compare(
            *(bare.flask, likes_of(smaller), contender),
            *(likes_of(own, _unswiped(own, usual)), likes_of(own, _unswiped(own, busy))),
        )
    what = f"{database.name}: POST {LIKE}"
    yield against(what, flask, "bare Flask view", among_many, database.like_target)
    yield not_dearer(f"{what} {_among(own)}", _among(smaller), among_few, among_many)
    yield not_dearer(f"{what} by callers with {swiped:,} swipes", "callers with few", of_usual, of_busy)


def _round_trips(database: Database, site: Site) -> Iterator[Row]:
    first, second = likes_in_turn(site)
    callers = site.callers()[:REQUESTS]
    decks = [
        RequestSpec("GET", f"{DECK}?group_num={group}", session_id=each.session_id)
        for group in GROUPS
        for each in callers
    ]
    with site.counted() as counted:
        # Connected and cached is what can be.
        count(counted, [*decks[:REQUESTS], *first])
        deck = count(counted, decks[REQUESTS:])
        like = count(counted, second)
    yield row(f"{database.name}, GET {DECK}", deck, DECK_ROUND_TRIPS, None)
    yield row(f"{database.name}, POST {LIKE}", like, LIKE_ROUND_TRIPS, None)


def _among(site: Site) -> str:
    return f"among {site.size.people:,} people"


def _swiped(site: Site, callers: list[Caller]) -> int:
    """How many the least busy of them has swiped."""
    return min(len(_swipes(site, caller)) for caller in callers)


def _unswiped(site: Site, callers: list[Caller]) -> Iterator[tuple[Caller, int]]:
    """The callers with everybody whom they have not swiped."""
    swipes = {caller.id: _swipes(site, caller) for caller in callers}
    return (pair for pair in pair_up(callers, site.everybody) if pair[1] not in swipes[pair[0].id])


def _swipes(site: Site, caller: Caller) -> set[int]:
    with site.app.app_context():
        found = set(db.session.scalars(select(Swipe.sid).where(Swipe.uid == caller.id)))
        db.session.remove()
    return found
