"""A hundred requests at the same moment, with five left of the day's quota."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select

from chaos.burst import Answer, RequestSpec
from chaos.lab import DATABASES, POSTGRES, SQLITE, Lab
from chaos.members import Member
from chaos.report import Finding
from chaos.site import Site
from swiper.clock import now
from swiper.social.models import LikeIn, Pair, Swipe
from swiper.social.ranking import KEY
from swiper.vip.models import Quota

TARGET = "exactly 5 succeed; refused, repeated or failed ones cost nothing"
LEFT = 5
PARALLEL = 100
ATTEMPTS = 5
# A day's limits; the one on likes is the default.
LIMITS = {"like": 50, "superlike": 8, "rewind": 8}
LIMIT_SETTINGS: dict[str, Any] = {f"{kind}s_per_day": limit for kind, limit in LIMITS.items()}
SWIPED, NOT_FOUND, WRONG, USED_UP, AWAY = 1008, 1009, 1005, 1006, 1011
# Codes a day: from one address as by default, and in all.
CODES_AN_ADDRESS, CODES_IN_ALL = 200, 300
SHANGHAI = ZoneInfo("Asia/Shanghai")
# Refusals of one burst may be so much older than the look at them.
SLOWNESS_SECONDS = 60


def quotas_are_exact(lab: Lab) -> Iterator[Finding]:
    """Likes, superlikes and rewinds, through nginx and two instances."""
    for database in (SQLITE, POSTGRES) if lab.is_short else DATABASES:
        site, rounds = limited_site(lab, database), lab.count(5, 1)
        for kind in LIMITS:
            yield spend(site, database, kind, rounds)


def limited_site(lab: Lab, database: str) -> Site:
    """The site that experiments about limits share; nothing is sent from it."""
    limits = LIMIT_SETTINGS | {
        "sms_per_ip_per_day": CODES_AN_ADDRESS,
        "sms_global_per_day": CODES_IN_ALL,
        # Whoever is refused a code of their own is not let in to another's: each answer of 0 is a code sent.
        "code_challenges": 1,
        "login_per_ip_per_minute": logins_an_address(lab),
    }
    return lab.shared(f"limits on {database}", lambda: lab.new_site(database, has_celery=False, **limits))


def logins_an_address(lab: Lab) -> int:
    """How many logins a minute one address may try; the default in the long form."""
    return lab.count(600, 60)


def spend(site: Site, name: str, kind: str, rounds: int) -> Finding:
    """Spend the quota of `kind` so many times on a site with `LIMIT_SETTINGS`."""
    results = [_rewind_too_often(site) if kind == "rewind" else _swipe_too_often(site, kind) for _ in range(rounds)]
    counts = sum((result[0] for result in results), Counter[str]())
    faults = [fault for result in results for fault in result[1]]
    for fault in faults[:10]:
        print(f"     {kind}, {name}: {fault}")
    also = counts["others"] // rounds
    again = f"; {counts['away']} were answered 503 and sent again" if counts["away"] else ""
    return Finding(
        f"{PARALLEL} parallel {kind}s, {LEFT} left, {name}",
        f"{rounds} times {PARALLEL} at the same moment, among {also} more that repeat or must fail; two instances",
        TARGET,
        f"{counts['done']} succeeded ({LEFT * rounds} wanted), {counts['refused']} refused; {len(faults)} "
        f"differences in answers, tables or ranking{again}",
        counts["done"] == LEFT * rounds and not faults,
    )


def _swipe_too_often(site: Site, kind: str) -> tuple[Counter[str], list[str]]:
    me = site.add_members(1, vip=1)[0]
    others = site.add_members(LIMITS[kind] - LEFT + PARALLEL)
    before, fresh = others[:-PARALLEL], others[-PARALLEL:]
    site.prepare(*[me.swipe(kind, other) for other in before], at_once=10)
    nobody = Member(1, "")
    aimed = [(me.swipe(kind, other), "fresh", USED_UP) for other in fresh]
    aimed += [(me.swipe(kind, before[0]), "repeated", 0)] * 20
    aimed += [(me.swipe("dislike", before[1]), "different", SWIPED)] * 10
    aimed += [(me.swipe(kind, me), "of oneself", WRONG), (me.swipe(kind, nobody), "of nobody", NOT_FOUND)] * 10
    random.shuffle(aimed)
    answers, away = _fire_to_the_end(site, [spec for spec, _, _ in aimed])
    counts, faults, liked = Counter[str](away=away), list[str](), set[int]()
    for (spec, name, wanted), answer in zip(aimed, answers, strict=True):
        if name == "fresh" and answer.code == 0:
            liked.add(int(spec.body["sid"]))
        elif answer.code != wanted:
            faults.append(f"a {kind} {name} answered {answer.code}")
        faults += _wrong_reset(answer)
        counts["others"] += name != "fresh"
        counts["refused"] += answer.code == USED_UP
    counts["done"] = len(liked)
    faults += _traces(site, me, kind, {other.id for other in before} | liked, {other.id for other in fresh} - liked)
    again = site.fire(me.swipe(kind, before[0]), me.swipe(kind, next(o for o in fresh if o.id not in liked)))
    if [answer.code for answer in again] != [0, USED_UP]:
        faults.append(f"afterwards the same one again and a new one answered {[answer.code for answer in again]}")
    return counts, faults


def _fire_to_the_end(site: Site, specs: Sequence[RequestSpec]) -> tuple[list[Answer], int]:
    """The last answers, and how many were 503: where the machine is too slow, those are sent again together.

    They have changed nothing, so it must be as if they had not been sent before.
    """
    answers, away = site.fire(*specs), 0
    for _ in range(ATTEMPTS):
        failed = [number for number, answer in enumerate(answers) if answer.code == AWAY]
        away += len(failed)
        if failed:
            again = site.fire(*[specs[number] for number in failed])
            for number, answer in zip(failed, again, strict=True):
                answers[number] = answer
    return answers, away


def _traces(site: Site, me: Member, kind: str, liked: set[int], refused: set[int]) -> list[str]:
    """Whether the tables hold what was answered 0, the quota counts it, and nothing is left of the rest."""
    with site.looking() as session:
        swiped = set(session.scalars(select(Swipe.sid).where(Swipe.uid == me.id)))
        queued = set(session.scalars(select(LikeIn.sid).where(LikeIn.uid == me.id)))
        pairs = session.execute(select(Pair.uid1, Pair.uid2).where(or_(Pair.uid1 == me.id, Pair.uid2 == me.id)))
        met = {uid for pair in pairs for uid in pair} - {me.id}
    scores = site.app.extensions["redis"].zmscore(KEY, [*liked, *refused])
    ranked = {uid for uid, score in zip([*liked, *refused], scores, strict=True) if score}
    found = {"swipes": swiped, "likes_in": queued, "pairs": met, "ranking": ranked}
    faults = [f"{name} has {len(uids)} instead of {len(liked)}" for name, uids in found.items() if uids != liked]
    return faults + _wrong_quota(site, me, kind, LIMITS[kind], LIMITS[kind])


def _rewind_too_often(site: Site) -> tuple[Counter[str], list[str]]:
    me = site.add_members(1, vip=2)[0]
    others = site.add_members(20)
    for other in others:
        site.prepare(me.swipe("like", other))
    rewind = me.post("/api/social/rewind")
    used = LIMITS["rewind"] - LEFT
    site.prepare(*[rewind] * used, at_once=1)
    left = [other.id for other in others[:-used]]
    aimed = [(rewind, USED_UP)] * PARALLEL + [(me.post("/api/social/rewind", sid=str(left[0])), WRONG)] * 20
    random.shuffle(aimed)
    answers, away = _fire_to_the_end(site, [spec for spec, _ in aimed])
    counts, faults, undone = Counter[str](others=20, away=away), list[str](), list[int]()
    for (_, wanted), answer in zip(aimed, answers, strict=True):
        if answer.code == 0:
            undone.append(int(answer.data["sid"]))
        elif answer.code != wanted:
            faults.append(f"a rewind answered {answer.code} instead of {wanted}")
        faults += _wrong_reset(answer)
        counts["refused"] += answer.code == USED_UP
    counts["done"] = len(undone)
    if sorted(undone) != sorted(left[-LEFT:]):
        faults.append(f"{len(set(undone) & set(left[-LEFT:]))} of the last {LEFT} were taken back")
    with site.looking() as session:
        if set(session.scalars(select(Swipe.sid).where(Swipe.uid == me.id))) != set(left[:-LEFT]):
            faults.append("other swipes are stored than those that nobody took back")
    faults += _wrong_quota(site, me, "rewind", LIMITS["rewind"], LIMITS["rewind"])
    return counts, faults + _wrong_quota(site, me, "like", len(left) - LEFT, None)


def _wrong_quota(site: Site, me: Member, kind: str, used: int, limit: int | None) -> list[str]:
    """What the table and /api/vip/me say."""
    with site.looking() as session:
        stored = session.scalar(select(Quota.used).where(Quota.uid == me.id, Quota.kind == kind))
    told = site.ask(me.get("/api/vip/me")).data["quotas"][kind]
    wanted = {"limit": limit, "used": used, "left": None if limit is None else limit - used}
    return [] if (stored, told) == (used, wanted) else [f"the quota of {kind}s is {stored}, told {told}"]


def _wrong_reset(answer: Answer) -> list[str]:
    """Refused for today means: until the coming midnight of Shanghai, in both places."""
    if answer.code != USED_UP:
        return []
    seconds, reset = int(answer.headers["retry-after"]), datetime.fromisoformat(answer.data["reset_at"])
    # The answer is some seconds old by now.
    age = seconds - (reset - now()).total_seconds()
    is_right = 0 <= age <= SLOWNESS_SECONDS and reset == _midnight()
    return [] if is_right else [f"Retry-After {seconds}, reset at {reset}"]


def _midnight() -> datetime:
    tomorrow = now().astimezone(SHANGHAI).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time.min, SHANGHAI)
