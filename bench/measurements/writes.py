"""Likes, and likes that make a match."""

import statistics
from collections.abc import Iterator
from functools import partial
from itertools import islice

from bench.callers import Caller
from bench.lab import Lab
from bench.load import WARM_UP_SECONDS, Contender, Results, Round, post
from bench.measurements.reads import against
from bench.measurements.round_trips import capture_like
from bench.pgbench import Script, Yardstick
from bench.report import Row
from bench.site import Site

LIKE = "/api/social/like"
# So many first likes suffice for a round of answers, however slow.
ANSWERED_AT_LEAST = 400
LIKE_TARGET, MATCH_TARGET, RATE_TARGET = 2.8, 1.5, 0.5


def like_line(caller: Caller, target_id: int) -> str:
    """The line for a like."""
    return post(LIKE, f"sid={target_id}", caller.session_id)


def likes_of(site: Site, pairs: Iterator[tuple[Caller, int]] | None = None) -> Contender:
    """Likes of `pairs`, each of them new; by default between the usual callers and everybody."""
    fresh = site.fresh_pairs if pairs is None else pairs

    def take(count: int) -> list[str]:
        return [like_line(caller, target_id) for caller, target_id in islice(fresh, count)]

    return site.swiper(take, is_fresh=True, rate=1_500)


def like(lab: Lab) -> Iterator[Row]:
    """Likes against a bare view, and against pgbench with the same statements."""
    contender = likes_of(lab)
    (line,) = contender.source(1)
    statements, example = capture_like(lab)
    yardstick = Yardstick(lab.postgres, lab.database_url, Script(statements, example, lab.folder))
    pairs = ((caller.id, target_id) for caller, target_id in lab.fresh_pairs)
    played = []
    with lab.bare(line, lambda count: [line]) as bare:
        rounds: list[list[Round]] = [[], [], []]
        contenders = (bare.wsgi, bare.flask, contender)
        for each in contenders:
            each.play(lab.folder, WARM_UP_SECONDS)
        yardstick.play(pairs, WARM_UP_SECONDS)
        for _ in range(lab.rounds):
            for kept, each in zip(rounds, contenders, strict=True):
                kept.append(each.play(lab.folder, lab.seconds))
            played.append(yardstick.play(pairs, lab.seconds))
    wsgi, flask, swiper = (Results(tuple(kept)) for kept in rounds)
    yield against(f"POST {LIKE}", flask, f"bare Flask view (bare WSGI: {wsgi.cpu_us():.0f} µs)", swiper, LIKE_TARGET)
    rate, database_us = (statistics.median(column) for column in zip(*played, strict=True))
    ratio = swiper.rate / rate
    yield Row(
        "likes a second",
        f"pgbench, the same {len(statements)} statements: {rate:.0f} a second, {database_us:.0f} µs of the database",
        f"{swiper.rate:.0f} a second",
        ratio,
        f">= {RATE_TARGET} x",
        ratio >= RATE_TARGET,
        f"{rate:.0f} → {swiper.rate:.0f}",
        swiper.cpu_us("redis"),
        swiper.cpu_us("database"),
    )


def match(lab: Lab) -> Iterator[Row]:
    """Likes among the callers, then the likes that answer them, in turn."""
    callers = lab.callers()
    couples = (
        (callers[place], callers[(place + step) % len(callers)])
        for step in range(1, (len(callers) - 1) // 2 + 1)
        for place in range(len(callers))
    )
    asked: list[tuple[Caller, Caller]] = []

    def begin(count: int) -> list[str]:
        chosen = list(islice(couples, count))
        asked.extend(chosen)
        return [like_line(one, other.id) for one, other in chosen]

    first = lab.swiper(begin, is_fresh=True, rate=1_000)
    rounds: tuple[list[Round], list[Round]] = ([], [])
    for _ in range(lab.rounds + 1):
        liked: list[tuple[Caller, Caller]] = []
        while len(liked) < ANSWERED_AT_LEAST:
            played = first.play(lab.folder, 3 * lab.seconds)
            done = len(asked) - len(first.left)
            # Only those whose first like has been answered, and none that was on its way at the end.
            liked += asked[done - played.sent :][: played.requests]
            del asked[:done]
        answers = iter([like_line(other, one.id) for one, other in liked])
        second = lab.swiper(partial(_next, answers), is_fresh=True, rate=played.rate)
        rounds[0].append(played)
        rounds[1].append(second.play(lab.folder, lab.seconds))
    likes, matches = (Results(tuple(kept[1:])) for kept in rounds)
    yield against("a like that makes a match", likes, "a like", matches, MATCH_TARGET)


def _next(lines: Iterator[str], count: int) -> list[str]:
    return list(islice(lines, count))
