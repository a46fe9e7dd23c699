"""`python -m bench.scale` measures what docs/scale.md says, and writes that page; `--short` writes nothing.

Two sites of different sizes say what a row of each table and index takes, and what a hot request costs; the rest is
arithmetic from there. Simulated keys say how evenly the shards of a cluster are loaded.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

from bench.extent import Extent, Size
from bench.lab import Lab
from bench.scale_simulation import SHARDS, Drawn, Tail, draw_ids, spread_likes
from bench.scale_storage import Costs, Relation, measure_costs, measure_redis, measure_relations
from bench.servers import not_installed
from chaos import tables
from config.settings import ROOT, Settings
from swiper.ids import EPOCH_MS

PAGE, HEAD = ROOT / "docs/scale.md", ROOT / "bench/scale_head.md"
MILLION = 1_000_000
PEOPLE = (1 * MILLION, 10 * MILLION, 50 * MILLION)
RATES = (1_000, 10_000)
SWIPES_EACH = 200
# The share of each hot request, and of people whose keys Redis has at a moment.
MIX = {"profile": 0.4, "users": 0.3, "like": 0.3}
ACTIVE = 0.2
# How busy a processor may be on average, so that a peak of an hour fits.
BUSY = 0.5
# B-trees whose keys come in no order are two thirds full after a while, those just loaded nine tenths.
LIVED_IN = 1.4
# Databases: the processors and the memory of one machine, and what share of the data is read again and again.
CORES, MEMORY_GB, HOT = 16, 64, 0.2
MOST_HOT = 1.3
# Inequality: a Gini coefficient of 0.43, 0.6 and 1. Published ones of dating services are 0.4 to 0.6.
EXPONENTS = (0.6, 0.75, 1.0)
JUDGED_UP_TO = 0.75
# The number of shards that is judged.
JUDGED_SHARDS = 32
# As in the crowd of `bench.crowd`, where 50,000 of a million people like one person.
LIKES_EACH, MOST_LIKED = 20, 0.05

EXTENT = Extent(
    sizes=(Size(10_000, 200_000), Size(40_000, 800_000)),
    portable=(Size(10_000, 200_000), Size(40_000, 800_000)),
    portable_rounds=1,
    callers=1_000,
    rounds=3,
    seconds=2,
    many=5_000,
)
SHORT = Extent(
    sizes=(Size(5_000, 50_000), Size(20_000, 200_000)),
    portable=(Size(5_000, 50_000), Size(20_000, 200_000)),
    portable_rounds=1,
    callers=200,
    rounds=1,
    seconds=1,
    many=5_000,
)

Table = tuple[Mapping[str, int], list[tuple[str, ...]]]


def main() -> int:
    """Print the tables. Return 1 if a shard is too hot or ids collide too often, 2 if a program is missing."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--short", action="store_true", help="small sites and few keys; writes no file")
    parser.add_argument("--simulate", action="store_true", help="the simulated keys alone; writes no file")
    options = parser.parse_args()
    missing = [] if options.simulate else not_installed(needs_mariadb=False)
    if missing:
        print(f"not installed: {', '.join(missing)}", file=sys.stderr)
        return 2
    is_whole = not (options.short or options.simulate)
    # A date of its own for the ids, so that a run can be repeated.
    drawn = [draw_ids(rate * (200 if is_whole else 20), rate, EPOCH_MS) for rate in RATES]
    people = MILLION if is_whole else 200_000
    most = int(people * MOST_LIKED)
    tails = [spread_likes(people, people * LIKES_EACH, exponent, most, EPOCH_MS) for exponent in EXPONENTS]
    parts = {"Ids": ids_table(drawn), "Likes": likes_table(tails)}
    if not options.simulate:
        parts = _measured(SHORT if options.short else EXTENT) | parts
    for title, (columns, rows) in parts.items():
        print(f"\n{title}\n{tables.as_text(columns, rows)}")
    if is_whole:
        text = _head() + "".join(
            f"\n## {title}\n\n{tables.as_markdown(columns, rows)}" for title, (columns, rows) in parts.items()
        )
        PAGE.write_text(text)
    wrong = [*too_many_collisions(drawn), *too_hot(tails)]
    print("\n".join(wrong) or "ids collide as seldom as arithmetic says; no shard is too hot")
    return 1 if wrong else 0


def _measured(extent: Extent) -> dict[str, Table]:
    with Lab(extent) as lab:
        relations = measure_relations(lab)
        costs = measure_costs(lab)
        redis_bytes, keys = measure_redis(lab)
        settings = lab.settings
    return {
        "Bytes on disk": bytes_table(relations),
        "Redis": redis_table(redis_bytes, keys),
        "Processors and connections": load_table(costs, settings),
        "Database machines": machines_table(relations, costs),
    }


def _head() -> str:
    less, more = EXTENT.sizes
    return HEAD.read_text().format(less=f"{less.people:,}", more=f"{more.people:,}", swipes=more.swipes // more.people)


def too_many_collisions(drawn: Sequence[Drawn]) -> Iterator[str]:
    """Yield a line for each rate at which far more ids were equal than chance explains."""
    for each in drawn:
        if each.collisions > 5 + 3 * each.expected:
            found = f"{each.collisions} of {each.count} ids were equal at {each.rate} a second"
            yield f"{found}, {each.expected:.1f} expected"


def too_hot(tails: Sequence[Tail]) -> Iterator[str]:
    """Yield a line for each tail whose hottest shard has 1.3 times the mean or more, unless it is beyond all known."""
    for each in tails:
        hottest = each.hottest[JUDGED_SHARDS]
        if each.exponent <= JUDGED_UP_TO and hottest >= MOST_HOT:
            yield f"the hottest of {JUDGED_SHARDS} shards has {hottest:.2f} times the mean, exponent {each.exponent}"


# --- Tables ---


def _gb(count: float) -> str:
    return f"{count / 1e9:,.1f}"


def bytes_table(relations: Sequence[Relation]) -> Table:
    """Return bytes by table and index, and what they are with many people."""
    columns = {"table": 16, "index": 34, "bytes a row": 11, "rows": 20} | {f"GB, {p // MILLION} M": 9 for p in PEOPLE}
    rows = []
    for each in relations:
        rows.append(
            (
                *(each.table, each.index, f"{each.row_bytes:.0f}"),
                f"{each.rows_each:.2f} a {'swipe' if each.is_by_swipes else 'person'}",
                *[_gb(each.bytes_for(people, SWIPES_EACH)) for people in PEOPLE],
            )
        )
    rows.append(("all", "just loaded", "", "", *[_gb(total_bytes(relations, people)) for people in PEOPLE]))
    lived = [_gb(LIVED_IN * total_bytes(relations, people)) for people in PEOPLE]
    rows.append(("all", f"after a while (x {LIVED_IN})", "", "", *lived))
    return columns, rows


def total_bytes(relations: Sequence[Relation], people: int) -> float:
    """Return the bytes of all tables and indexes."""
    return sum(each.bytes_for(people, SWIPES_EACH) for each in relations)


def redis_table(user_bytes: float, keys: float) -> Table:
    """Return what Redis holds of active users."""
    columns = {"": 44} | {f"{people // MILLION} M people": 12 for people in PEOPLE}
    active = [people * ACTIVE for people in PEOPLE]
    what = f"GB of active users: {user_bytes:,.0f} bytes in {keys:.1f} keys each"
    return columns, [
        (f"active users ({ACTIVE:.0%})", *[f"{count / MILLION:.1f} M" for count in active]),
        (what, *[_gb(user_bytes * count) for count in active]),
    ]


def cores_for(costs: Mapping[str, Costs], server: str, rate: int) -> float:
    """Return how many processors a server uses up at so many requests a second of the mix."""
    return sum(share * costs[name].cpu_us[server] for name, share in MIX.items()) * rate / MILLION


def load_table(costs: Mapping[str, Costs], settings: Settings) -> Table:
    """Return processors, workers and connections by the requests a second."""
    columns = {"": 52} | {f"{rate:,} requests a second": 14 for rate in RATES}
    rows = []
    for server in ("web", "redis", "database"):
        each = ", ".join(f"{name} {costs[name].cpu_us[server]:.0f}" for name in MIX)
        rows.append(
            (f"{server}: processors at work (µs: {each})", *[f"{cores_for(costs, server, r):.1f}" for r in RATES])
        )
    workers = [workers_for(costs, rate) for rate in RATES]
    most = settings.database_pool_size + settings.database_max_overflow
    rows.append((f"web workers, each {BUSY:.0%} busy", *map(str, workers)))
    rows.append((f"connections to the database at most ({most} a worker)", *[str(most * count) for count in workers]))
    return columns, rows


def workers_for(costs: Mapping[str, Costs], rate: int) -> int:
    """Return how many web workers so many requests a second need."""
    return max(1, round(cores_for(costs, "web", rate) / BUSY + 0.5))


def machines_table(relations: Sequence[Relation], costs: Mapping[str, Costs]) -> Table:
    """Return how many database machines the data and the requests need."""
    columns = {"people": 10, "GB on disk": 10, "GB read often": 13} | {f"machines, {rate:,}/s": 16 for rate in RATES}
    rows = []
    for people in PEOPLE:
        disk = LIVED_IN * total_bytes(relations, people) / 1e9
        needs = [max(cores_for(costs, "database", rate) / BUSY / CORES, disk * HOT / MEMORY_GB) for rate in RATES]
        machines = [str(max(1, int(need + 0.999))) for need in needs]
        rows.append((f"{people // MILLION} M", f"{disk:,.0f}", f"{disk * HOT:,.0f}", *machines))
    return columns, rows


def ids_table(drawn: Sequence[Drawn]) -> Table:
    """Return the simulated ids."""
    columns = {"ids a second": 12, "drawn": 12, "equal": 6, "expected": 8, "one in": 16}
    columns |= {f"hottest of {shards} shards": 12 for shards in SHARDS}
    return columns, [
        (
            *(f"{each.rate:,}", f"{each.count:,}", str(each.collisions), f"{each.expected:.2f}"),
            f"{each.seconds_for_one:,.0f} s" if each.expected else "never",
            *[f"{each.hottest[shards]:.3f} x" for shards in SHARDS],
        )
        for each in drawn
    ]


def likes_table(tails: Sequence[Tail]) -> Table:
    """Return how likes lie on the shards."""
    columns = {"likes fall by rank to the power of": 12, "people": 11, "likes": 12, "the most liked": 12}
    columns |= {"the first percent": 12} | {f"hottest of {shards} shards": 12 for shards in SHARDS}
    return columns, [
        (
            *(f"-{each.exponent}", f"{each.people:,}", f"{each.likes:,}", f"{each.most:,}"),
            f"{each.top_percent_share:.0%}",
            *[f"{each.hottest[shards]:.2f} x" for shards in SHARDS],
        )
        for each in tails
    ]


if __name__ == "__main__":
    started = time.monotonic()
    code = main()
    print(f"in {time.monotonic() - started:.0f} s")
    sys.exit(code)
