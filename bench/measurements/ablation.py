"""What the fast paths save: each switched off alone, then all of them (`docs/fastpath.md`)."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice

from bench.lab import Lab
from bench.load import Contender, Results, Source, get, repeated
from bench.measurements.reads import DECK, DECK_TARGET, PROFILE, PROFILE_TARGET, against, deck_lines, everything
from bench.measurements.writes import LIKE, LIKE_TARGET, like_line
from bench.report import Row

# By the value of FAST_PATHS.
WAYS = {
    "on": "all shared",
    "postgres": "Redis not shared",
    "redis": "PostgreSQL not shared",
    "off": "nothing shared",
}
# What the web processes may cost, as a multiple of a bare Flask view: by request, with FAST_PATHS=on and with off.
# No target was set for a profile with off.
TARGETS: dict[str, tuple[float, float | None]] = {
    PROFILE: (PROFILE_TARGET, None),
    DECK: (DECK_TARGET, 3.5),
    LIKE: (LIKE_TARGET, 5.0),
}


def ablation(lab: Lab) -> Iterator[Row]:
    """The hot requests with all fast paths, without each, and without any."""
    callers = lab.callers()
    profiles = [get(PROFILE, caller.session_id) for caller in callers]
    decks = deck_lines(callers)

    def likes(count: int) -> list[str]:
        return [like_line(caller, target_id) for caller, target_id in islice(lab.fresh_pairs, count)]

    with ExitStack() as stack:
        contenders = {}
        for way in WAYS:
            program, base = stack.enter_context(lab.instance(FAST_PATHS=way))
            contenders[way] = Contender(base, lab.pids | {"web": program.pid}, likes, is_fresh=True, rate=1_000)
        for method, path, source, example in (
            ("GET", PROFILE, repeated(profiles), profiles[0]),
            ("GET", DECK, repeated(decks), decks[0]),
            ("POST", LIKE, likes, ""),
        ):
            yield from _compare(lab, contenders, method, path, source, example or likes(1)[0])


def _compare(
    lab: Lab, contenders: dict[str, Contender], method: str, path: str, source: Source, example: str
) -> Iterator[Row]:
    is_fresh = method == "POST"
    players = [replace(each, source=source, is_fresh=is_fresh) for each in contenders.values()]
    with lab.bare(example, repeated([example])) as bare:
        flask, *results = lab.compare(bare.flask, *players)
    found = dict(zip(contenders, results, strict=True))
    for way, words in WAYS.items():
        if way != "on":
            yield _row(f"{method} {path}, {words}", found["on"], found[way])
    yield from against_bare_view(method, path, flask, found)


def against_bare_view(method: str, path: str, flask: Results, found: Mapping[str, Results]) -> Iterator[Row]:
    """The rows of a request with all fast paths and without any, each judged by its own target."""
    for way, target in zip(("on", "off"), TARGETS[path], strict=True):
        yield against(f"{method} {path}, FAST_PATHS={way}", flask, "bare Flask view", found[way], target)


def _row(what: str, shared: Results, alone: Results) -> Row:
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
