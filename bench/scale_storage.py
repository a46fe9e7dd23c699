"""What the tables and the keys of Redis take, measured on sites of two sizes, and what that makes of larger ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from redis import Redis

from bench.lab import Lab
from bench.load import get, repeated
from bench.measurements.growth import KINDS
from bench.measurements.reads import DECK, PROFILE

SIZES = """SELECT pg_class.relname, pg_class.reltuples::int8, pg_table_size(pg_class.oid), '' FROM pg_class
    WHERE pg_class.relkind = 'r' AND pg_class.relnamespace = 'public'::regnamespace
    UNION ALL SELECT of_table.relname, of_table.reltuples::int8, pg_relation_size(pg_class.oid), pg_class.relname
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_class AS of_table ON of_table.oid = indrelid
    WHERE of_table.relnamespace = 'public'::regnamespace ORDER BY 1, 4"""
# Their rows grow with the swipes, those of all others with the people.
BY_SWIPES = ("swipes", "likes_in", "pairs", "friends")
# Fewer rows than this say nothing about the size of one.
FEWEST_ROWS = 1_000


@dataclass(frozen=True)
class Relation:
    """A table or an index: bytes for a row, from the growth between two sizes, and rows for a person or a swipe."""

    table: str
    index: str
    row_bytes: float
    rows_each: float

    @property
    def is_by_swipes(self) -> bool:
        """True if there is a number of rows for each swipe, not for each person."""
        return self.table in BY_SWIPES

    def bytes_for(self, people: int, swipes_each: int) -> float:
        """Return the bytes with so many people who have made so many swipes each."""
        return self.row_bytes * self.rows_each * people * (swipes_each if self.is_by_swipes else 1)


@dataclass(frozen=True)
class Costs:
    """What a request costs: microseconds of the processors by server, with so many people."""

    people: int
    cpu_us: dict[str, float]


def measure_relations(lab: Lab) -> list[Relation]:
    """Return each table and index that has enough rows on both sites of the lab."""
    (less,) = lab.smaller
    small, large = (_sizes(site) for site in (less, lab))
    swipes = [_swipes(sizes) for sizes in (small, large)]
    found = []
    for (table, index), (rows, size) in large.items():
        rows_before, size_before = small.get((table, index), (0, 0))
        if rows_before < FEWEST_ROWS or rows <= rows_before:
            continue
        each = rows / (swipes[1] if table in BY_SWIPES else lab.size.people)
        found.append(Relation(table, index, (size - size_before) / (rows - rows_before), each))
    return found


def _sizes(lab: Lab) -> dict[tuple[str, str], tuple[int, int]]:
    assert lab.filled
    lab.in_database("SELECT 1")
    return {(table, index): (rows, size) for table, rows, size, index in lab.in_database(SIZES)}


def _swipes(sizes: dict[tuple[str, str], tuple[int, int]]) -> int:
    return sizes["swipes", ""][0]


def measure_redis(lab: Lab) -> tuple[float, float]:
    """Return bytes and keys in Redis for each user who has just looked at their profile and deck."""
    callers = lab.callers(lab.people[: lab.extent.callers])
    lines = [get(path, caller.session_id) for path in (PROFILE, f"{DECK}?group_num=0") for caller in callers]
    lab.swiper(repeated(lines)).play(lab.folder, max(2, lab.seconds))
    with Redis.from_url(lab.redis.url) as client:
        sizes = [size for uids in _chunks([caller.id for caller in callers]) for size in key_bytes(client, uids)]
    return sum(sizes) / len(callers), len(sizes) / len(callers)


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + 500] for start in range(0, len(ids), 500))


def key_bytes(client: Redis, uids: Sequence[int]) -> Iterator[int]:
    """Yield the bytes of each key that belongs to one of these users, with its name and what Redis adds.

    Asking for single keys is right whatever else comes into Redis or expires meanwhile, which the memory of all is not.
    """
    marks = {f"{{u:{uid}}}".encode() for uid in uids}
    names = [name for name in client.scan_iter(count=1_000) if mark_of(name) in marks]
    for name in names:
        # None for a key that has just expired.
        yield client.memory_usage(name, samples=0) or 0


def mark_of(name: bytes) -> bytes:
    """Return the part of a key between braces, with them, which names its user; empty if there is none."""
    start = name.find(b"{")
    end = name.find(b"}", start)
    return name[start : end + 1] if 0 <= start < end else b""


def measure_costs(lab: Lab) -> dict[str, Costs]:
    """Return what the hot requests cost, by name."""
    results = lab.compare(*[make(lab) for make in KINDS.values()])
    servers = ("web", "redis", "database")
    return {
        name: Costs(lab.size.people, {server: each.cpu_us(server) for server in servers})
        for name, each in zip(KINDS, results, strict=True)
    }
