"""Two acts upon the same swipes at the same moment: what comes out is what one order of the two would give."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from chaos.burst import Answer, RequestSpec
from chaos.lab import DATABASES, POSTGRES, SQLITE, Lab
from chaos.members import Member
from chaos.races import LEVEL, RACES, UNAVAILABLE, Act, Outcome, Race, expected, stored_facts
from chaos.report import Finding
from chaos.site import Site

TARGET = "always one of the states that some order of the two would give; score and quota agree with it"
# So many races at the same moment.
TOGETHER = 20
# A race is run again where a request was refused because the machine was too slow.
ATTEMPTS = 4


def races_end_as_one_after_the_other(lab: Lab) -> Iterator[Finding]:
    """Each race many times with new people, through nginx and two instances."""
    for database in DATABASES:
        count = lab.count(100 if database == SQLITE else 500, 60 if database == POSTGRES else 12)
        for name, variants in RACES.items():
            # Each form of the others has about a third of them.
            share = count // 3 if len(variants) == 1 else count
            yield judge(lab.site(database), f"{name}, {database}", variants, share)


def judge(site: Site, name: str, variants: Sequence[Race], count: int) -> Finding:
    """Run the `variants` of a race, `count` times in all."""
    seen: Counter[str] = Counter()
    share = -(-count // len(variants))
    for race in variants:
        missing = share
        for _ in range(ATTEMPTS):
            if missing:
                fits = [_fit(race, group, outcome, name) for group, outcome in _run(site, race, missing)]
                seen.update(fits)
                missing -= len(fits) - fits.count("unavailable")
    total = share * len(variants)
    again = f"; {seen['unavailable']} more were answered 503 and had changed nothing" if seen["unavailable"] else ""
    return Finding(
        name,
        f"{total:,} times, {len(variants)} forms of it, {2 * TOGETHER} requests at the same moment, two instances",
        TARGET,
        f"{seen['first']:,} as the first order, {seen['second']:,} as the second, {seen['either']:,} as both alike; "
        f"{seen['none']} as none{again}",
        seen.total() - seen["unavailable"] == total and not seen["none"],
    )


def _run(site: Site, race: Race, count: int) -> list[tuple[list[Member], Outcome]]:
    """The race of `count` new groups, which those whose preparation was refused do not reach."""
    members = iter(site.add_members(count * race.people, vip=LEVEL))
    groups = [list(itertools.islice(members, race.people)) for _ in range(count)]
    for act in race.before:
        answers = site.fire(*[_spec(act, group) for group in groups], at_once=2 * TOGETHER)
        codes = Counter(answer.code for answer in answers)
        assert set(codes) <= {0, UNAVAILABLE}, f"{act}: {codes}"
        groups = [group for group, answer in zip(groups, answers, strict=True) if answer.code == 0]
    # The one that comes first on the wire takes turns.
    orders = [(0, 1) if number % 2 else (1, 0) for number in range(len(groups))]
    specs = [_spec(race.together[n], group) for order, group in zip(orders, groups, strict=True) for n in order]
    answers = site.fire(*specs, at_once=2 * TOGETHER)
    outcomes = []
    for number, (order, facts) in enumerate(zip(orders, stored_facts(site, groups), strict=True)):
        pair = dict(zip(order, answers[2 * number : 2 * number + 2], strict=True))
        outcomes.append(Outcome((_told(pair[0]), _told(pair[1])), facts))
    return list(zip(groups, outcomes, strict=True))


def _spec(act: Act, group: Sequence[Member]) -> RequestSpec:
    who, what, whom = act
    if what == "rewind":
        return group[who].post("/api/social/rewind")
    return group[who].post(f"/api/social/{what}", sid=str(group[whom].id))


def _told(answer: Answer) -> tuple[int, Any]:
    return answer.code, answer.data if answer.code == 0 else None


def _fit(race: Race, group: Sequence[Member], outcome: Outcome, name: str) -> str:
    """Which order gives `outcome`; what was answered 503 must have changed nothing, and proves nothing else."""
    done = [number for number in (0, 1) if outcome.answers[number][0] != UNAVAILABLE]
    orders = [expected(race, group, order) for order in (done, done[::-1])]
    fits = [outcome == order for order in orders]
    if not any(fits):
        allowed = " or ".join(order.told(group) for order in orders)
        print(f"     {name}: {outcome.told(group)}; allowed are {allowed}"[:2_000])
        return "none"
    if len(done) < 2:
        return "unavailable"
    return "either" if all(fits) else "first" if fits[0] else "second"
