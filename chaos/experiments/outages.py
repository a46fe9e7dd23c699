"""Redis and the databases are frozen, killed and brought back while people ask for everything at once."""

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from chaos.burst import Answer, burst
from chaos.consistency import half_written, lost_swipes, ranking_drift
from chaos.lab import MARIADB, POSTGRES, Lab
from chaos.members import Member
from chaos.phones import LIMITED
from chaos.report import Finding
from chaos.requests import OK, UNAVAILABLE, WITHOUT_DATABASE, WITHOUT_REDIS, Cast, Named
from chaos.servers import Server
from chaos.site import Site
from chaos.traffic import Swiped
from swiper.social.ranking_rebuild import rebuild_ranking

BACK_SECONDS = 10.0
# Requests of each kind at the same moment, and couples who like each other when the server goes away.
TOGETHER = 4
COUPLES = 12
# A machine that needs longer for the same requests when all is well is too busy to be measured so finely; what it
# needs beyond that is allowed for.
USUAL_SECONDS = 0.5


@dataclass(frozen=True)
class Outage:
    """What goes away and how, and what people may be answered meanwhile."""

    name: str
    site: Site
    server: Server
    is_frozen: bool
    limit: float
    allowed: dict[str, frozenset[int]]

    def begin(self) -> None:
        """Stop the server's processes, or kill them."""
        if self.is_frozen:
            self.server.freeze()
        else:
            self.server.kill()

    def end(self) -> None:
        """Let them go on, or start the server anew."""
        if self.is_frozen:
            self.server.thaw()
        else:
            self.server.start()


@dataclass
class Seen:
    """What people met."""

    usual: float = 0.0
    refusals: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    back: float = 0.0
    told: list[Swiped] = field(default_factory=list)
    again: int = 0
    stuck: list[str] = field(default_factory=list)
    waiting: int = 0


def servers_fail_and_return(lab: Lab) -> Iterator[Finding]:
    """SIGSTOP and SIGKILL of Redis, PostgreSQL and MariaDB."""
    site = lab.site(POSTGRES)
    for is_frozen in (True, False):
        yield _endure(lab, Outage("Redis", site, site.redis, is_frozen, 1.0, WITHOUT_REDIS))
    for database in (POSTGRES, MARIADB):
        site = lab.site(database)
        for is_frozen in (True, False):
            yield _endure(lab, Outage(database, site, lab.server(database), is_frozen, 2.0, WITHOUT_DATABASE))


def _endure(lab: Lab, outage: Outage) -> Finding:
    site, times, bursts = outage.site, lab.count(3, 1), lab.count(4, 2 if outage.limit <= 1 else 1)
    seen = Seen()
    members: list[Member] = []
    drift = ranking_drift(site)
    for _ in range(times):
        cast = Cast(site, TOGETHER, bursts + 2)
        couples = site.add_members(2 * COUPLES, vip=2)
        members += couples + cast.regulars
        _warm(cast, seen)
        _go_through(outage, cast, couples, bursts, seen)
    lost = lost_swipes(site, seen.told)
    torn = half_written(site, [member.id for member in members])
    drift = ranking_drift(site) - drift
    rest = _drift_after_rebuild(site) if not lab.is_short else 0
    for text in (*seen.wrong, *seen.stuck, *lost, *torn)[:10]:
        print(f"     {text}")
    slowest, limit = max(seen.refusals), outage.limit + max(0.0, seen.usual - USUAL_SECONDS)
    return Finding(
        f"{outage.name} {'stopped (SIGSTOP)' if outage.is_frozen else 'killed, restarted'}",
        f"{times} times, in the middle of {2 * COUPLES} likes; then {bursts} bursts of {9 * TOGETHER} requests of "
        "9 kinds at the same moment",
        f"1011 within {outage.limit:.0f} s and what the spec serves all the same, good again within "
        f"{BACK_SECONDS:.0f} s, nothing lost or half-written",
        f"{len(seen.refusals)} refusals, the slowest after {slowest:.2f} s (as many good answers take "
        f"{seen.usual:.2f} s); {len(seen.wrong)} wrong answers; all good {seen.back:.1f} s after the return; "
        f"{len(lost)} of {len(seen.told)} swipes lost, {len(torn)} half-written, {len(seen.stuck)} of {seen.again} "
        f"could not be repeated; {seen.waiting} numbers wait a minute; ranking off by {drift} points"
        + ("" if lab.is_short else f", {rest} after its rebuild"),
        slowest <= limit and seen.back <= BACK_SECONDS and not (seen.wrong or seen.stuck or lost or torn or rest),
    )


def _warm(cast: Cast, seen: Seen) -> None:
    """Every request is answered well before; the second time tells how fast."""
    for _ in range(2):
        answers = cast.site.fire(*[spec for _, spec in cast.burst()])
        assert {answer.code for answer in answers} == {OK}, "not all is well before the outage"
        seen.usual = max(answer.seconds for answer in answers)
    cast.ask_codes()


def _go_through(outage: Outage, cast: Cast, couples: list[Member], bursts: int, seen: Seen) -> None:
    site = outage.site
    pairs = zip(couples[::2], couples[1::2], strict=True)
    likes = [pair for one, other in pairs for pair in ((one, other), (other, one))]
    with ThreadPoolExecutor(1) as pool:
        meanwhile = pool.submit(site.fire, *[one.swipe("like", other) for one, other in likes])
        time.sleep(random.uniform(0.02, max(0.04, seen.usual / 2)))
        outage.begin()
        refused = [
            pair
            for number in range(bursts)
            for pair in _ask(outage, cast.burst(), site.instance_bases if number % 2 else [site.base], seen)
        ]
        answers = meanwhile.result()
    seen.told += _acknowledged(likes, answers)
    outage.end()
    seen.back = max(seen.back, seconds_until_good(site, cast))
    again = [spec for kind, spec in refused if kind == "like"] + cast.other_logins()
    codes = [spec for kind, spec in refused if kind == "code"]
    if outage.server is site.redis:
        # What a frozen Redis reads when it goes on counts as a request for a code.
        seen.waiting += sum(answer.code == LIMITED for answer in site.fire(*codes))
    else:
        again += codes
    again += [one.swipe("like", other) for one, other in likes]
    answers = site.fire(*again, at_once=2 * COUPLES)
    seen.again += len(answers)
    seen.stuck += [
        f"{spec.path} again: {answer.code}" for spec, answer in zip(again, answers, strict=True) if answer.code
    ]
    seen.told += _acknowledged(likes, answers[-len(likes) :])


def _ask(outage: Outage, named: Named, bases: list[str], seen: Seen) -> Named:
    """Fire; those that were refused are returned."""
    answers = burst(bases, [spec for _, spec in named])
    for (kind, _), answer in zip(named, answers, strict=True):
        if answer.code not in outage.allowed[kind]:
            seen.wrong.append(f"{kind}: {answer.status} {answer.body[:100]!r}")
        elif answer.code == UNAVAILABLE:
            seen.refusals.append(answer.seconds)
    return [pair for pair, answer in zip(named, answers, strict=True) if answer.code == UNAVAILABLE]


def _acknowledged(likes: list[tuple[Member, Member]], answers: list[Answer]) -> list[Swiped]:
    return [
        Swiped(one.id, other.id, "like", answer.data["is_matched"])
        for (one, other), answer in zip(likes, answers, strict=True)
        if answer.code == OK
    ]


def seconds_until_good(site: Site, cast: Cast, patience: float = 3 * BACK_SECONDS) -> float:
    """From now until every kind of request has been answered well, through nginx."""
    started = time.monotonic()
    waiting = set(cast.one_each())
    while waiting and time.monotonic() - started < patience:
        specs = {kind: spec for kind, spec in cast.one_each().items() if kind in waiting}
        answers = site.fire(*specs.values())
        waiting -= {kind for kind, answer in zip(specs, answers, strict=True) if answer.code == OK}
    return time.monotonic() - started


def _drift_after_rebuild(site: Site) -> int:
    with site.looking():
        rebuild_ranking()
    return ranking_drift(site)
