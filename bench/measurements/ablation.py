"""What the fast paths save: each switched off alone, then all of them (`docs/fastpath.md`)."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice

from bench.lab import Lab
from bench.load import Contender, Figures, Source, get, repeated
from bench.measurements.reads import DECK, PROFILE, against, deck_lines, everything
from bench.measurements.writes import LIKE, like_line
from bench.report import Row

# By the value of FAST_PATHS.
WAYS = {
    "on": "all shared",
    "postgres": "Redis not shared",
    "redis": "PostgreSQL not shared",
    "off": "nothing shared",
}
PROFILE_TARGET, DECK_TARGET, LIKE_TARGET = 2.0, 3.5, 5.0


def ablation(lab: Lab) -> Iterator[Row]:
    """The hot requests with all fast paths, without each, and without any."""
    callers = lab.callers()
    profiles = [get(PROFILE, caller.sid) for caller in callers]
    decks = deck_lines(callers)

    def likes(count: int) -> list[str]:
        return [like_line(caller, sid) for caller, sid in islice(lab.fresh_pairs, count)]

    with ExitStack() as stack:
        contenders = {}
        for way in WAYS:
            program, base = stack.enter_context(lab.instance(FAST_PATHS=way))
            contenders[way] = Contender(base, lab.pids | {"web": program.pid}, likes, is_fresh=True, rate=1_000)
        for what, source, example, target in (
            (f"GET {PROFILE}", repeated(profiles), profiles[0], PROFILE_TARGET),
            (f"GET {DECK}", repeated(decks), decks[0], DECK_TARGET),
            (f"POST {LIKE}", likes, "", LIKE_TARGET),
        ):
            yield from _compare(lab, contenders, what, source, example or likes(1)[0], target)


def _compare(
    lab: Lab, contenders: dict[str, Contender], what: str, source: Source, example: str, target: float
) -> Iterator[Row]:
    is_fresh = what.startswith("POST")
    players = [replace(each, source=source, is_fresh=is_fresh) for each in contenders.values()]
    with lab.bare(example, repeated([example])) as bare:
        flask, *figures = lab.compare(bare.flask, *players)
    found = dict(zip(contenders, figures, strict=True))
    for way, words in WAYS.items():
        if way != "on":
            yield _row(f"{what}, {words}", found["on"], found[way])
    yield against(f"{what}, FAST_PATHS=on", flask, "bare Flask view", found["on"], target)
    yield against(f"{what}, FAST_PATHS=off", flask, "bare Flask view", found["off"], target)


def _row(what: str, shared: Figures, alone: Figures) -> Row:
    """What all servers pay for a request on one way, against the way with everything shared."""
    return Row(
        what,
        f"all shared: {shared.median(everything):.0f} µs of all servers",
        f"{alone.median(everything):.0f} µs of all servers",
        alone.median(everything) / shared.median(everything),
        "",
        None,
        f"{shared.rate:.0f} → {alone.rate:.0f}",
        alone.cpu_us("redis"),
        alone.cpu_us("database"),
    )
