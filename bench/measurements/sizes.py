"""Loading, storage, and memory."""

import itertools
import time
from collections.abc import Iterator

import psutil

from bench.lab import Lab
from bench.load import get, post, repeated
from bench.measurements.reads import GROUPS, PROFILE, deck_lines
from bench.measurements.writes import LIKE
from bench.report import Row
from bench.scale_storage import measure_redis

SEED_TARGET, FLAT = 4.0, 1.2
SWIPE_TABLES = ("swipes", "likes_in", "pairs", "friends")
KB_PER_MB = 1024
# The requests that shall show whether memory grows end after so many times the time of a comparison.
LONGEST_ROUNDS = 40


def loading(lab: Lab) -> Iterator[Row]:
    """`flask seed-robots` against a plain COPY, and its memory against that for a tenth of the people."""
    own, less = lab.filled, lab.smaller[-1].filled
    ratio = own.seed_seconds / own.copy_seconds
    yield Row(
        f"flask seed-robots {lab.size.people:,}",
        f"COPY of the same rows: {own.copy_seconds:.1f} s",
        f"{own.seed_seconds:.1f} s",
        ratio,
        f"<= {SEED_TARGET} x",
        ratio <= SEED_TARGET,
        f"{lab.size.people / own.copy_seconds:.0f} → {lab.size.people / own.seed_seconds:.0f}",
    )
    growth = own.seed_peak_kb / less.seed_peak_kb
    yield Row(
        "its peak memory",
        f"for {lab.smaller[-1].size.people:,}: {less.seed_peak_kb / KB_PER_MB:.0f} MB",
        f"{own.seed_peak_kb / KB_PER_MB:.0f} MB",
        growth,
        f"<= {FLAT} x",
        growth <= FLAT,
    )
    words = f"{own.swipe_seconds:.1f} s, {own.swipe_peak_kb / KB_PER_MB:.0f} MB"
    yield Row(f"filling in {lab.size.swipes:,} swipes", "", words)


def storage(lab: Lab) -> Iterator[Row]:
    """What a swipe takes in PostgreSQL and an active user in Redis."""
    swipes = lab.in_database("SELECT count(*) FROM swipes")[0][0]
    sizes = {table: _size(lab, table) / swipes for table in SWIPE_TABLES}
    words = ", ".join(f"{table} {size:.0f}" for table, size in sizes.items())
    yield Row("bytes for a swipe, indexes included", "", f"{sum(sizes.values()):.0f} ({words})")
    taken, keys = measure_redis(lab)
    yield Row(
        "bytes in Redis for an active user", "", f"{taken:.0f} in {keys:.1f} keys (session, cached account, deck)"
    )


def _size(lab: Lab, table: str) -> int:
    return int(lab.in_database("SELECT pg_total_relation_size(%s::regclass)", table)[0][0])


def memory(lab: Lab) -> Iterator[Row]:
    """Resident memory of a worker before and after many requests."""
    callers = lab.callers()
    people = itertools.cycle(lab.people)
    likes = [post(LIKE, f"sid={next(people)}", caller.session_id) for caller in callers]
    profiles = [get(PROFILE, caller.session_id) for caller in callers]
    lines = [*deck_lines(callers), *len(GROUPS) * profiles, *likes]
    deadline = time.monotonic() + LONGEST_ROUNDS * lab.rounds * lab.seconds
    with lab.instance() as (program, base):
        contender = lab.swiper(repeated(lines))
        contender.base = base
        sent = contender.play(lab.folder, max(3, lab.seconds)).requests
        before = _resident(program.children())
        while sent < lab.extent.many and time.monotonic() < deadline:
            sent += contender.play(lab.folder, 10).requests
        after = _resident(program.children())
    yield Row(
        f"memory of a worker after {sent:,} requests", f"{before:.0f} MB at first", f"{after:.0f} MB", after / before
    )


def _resident(workers: list[psutil.Process]) -> float:
    return float(sum(worker.memory_info().rss for worker in workers) / len(workers)) / 2**20
