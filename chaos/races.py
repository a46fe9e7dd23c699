"""Two acts upon the same swipes: what a model says that they give in an order, and what is stored after them."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import or_, select

from chaos.consistency import POINTS_SECONDS
from chaos.members import Member
from chaos.site import Site
from swiper.clock import now
from swiper.social.models import Friend, LikeIn, Pair, Swipe
from swiper.social.ranking import KEY
from swiper.vip.models import Quota
from tests.social.model import Member as Account
from tests.social.model import World

# May rewind.
LEVEL = 2
UNAVAILABLE = 1011

# Who does what to whom; the people of a race are numbered.
Act = tuple[int, str, int]
# Something that is so: a row of a table without its times, or a score.
Fact = tuple[object, ...]


@dataclass(frozen=True)
class Race:
    """`before` is done one after the other, then both of `together` at once."""

    before: tuple[Act, ...]
    together: tuple[Act, Act]
    people: int = 2


MATCHED: tuple[Act, ...] = ((1, "like", 0), (0, "like", 1))
RACES: dict[str, tuple[Race, ...]] = {
    "like against rewind": (
        Race(MATCHED, ((0, "like", 1), (0, "rewind", 1))),
        Race(((2, "like", 0), (0, "like", 1)), ((0, "like", 2), (0, "rewind", 1)), people=3),
    ),
    "like against dislike": (
        Race(((1, "like", 0),), ((0, "like", 1), (0, "dislike", 1))),
        Race((), ((0, "like", 1), (0, "dislike", 1))),
    ),
    "rewind against the other's like": (
        Race(((0, "like", 1),), ((0, "rewind", 1), (1, "like", 0))),
        Race(((0, "superlike", 1),), ((0, "rewind", 1), (1, "superlike", 0))),
    ),
    "unmatch": (
        Race(MATCHED, ((1, "unfriend", 0), (0, "rewind", 1))),
        Race(MATCHED, ((1, "unfriend", 0), (0, "unfriend", 1))),
        Race(MATCHED, ((1, "unfriend", 0), (0, "like", 1))),
    ),
    "rewind against rewind": (
        Race(((0, "like", 1), (0, "dislike", 2)), ((0, "rewind", 2), (0, "rewind", 2)), people=3),
    ),
}


class Unlimited(World):
    """The model of the property test; nobody comes to the end of a quota here."""

    def is_used_up(self, uid: int, kind: str) -> bool:
        """Never."""
        return False


@dataclass(frozen=True)
class Outcome:
    """What both acts were answered, and what is stored of the people of the race."""

    answers: tuple[Any, Any]
    facts: frozenset[Fact]

    def told(self, group: Sequence[Member]) -> str:
        """In words, with people as the race numbers them."""
        text = f"answers {self.answers}, stored {sorted(map(str, self.facts))}"
        for number, member in enumerate(group):
            text = text.replace(str(member.id), f"#{number}")
        return text


def expected(race: Race, group: Sequence[Member], order: Sequence[int]) -> Outcome:
    """What the acts named in `order` give one after the other; an act that is not named is answered 503."""
    start = now()
    account = Account(bought=LEVEL, until=start + timedelta(days=28))
    world = Unlimited(start, {member.id: account for member in group})
    for act in race.before:
        _act(world, act, group)
    told: dict[int, Any] = dict.fromkeys((0, 1), (UNAVAILABLE, None))
    told |= {number: _act(world, race.together[number], group) for number in order}
    return Outcome((told[0], told[1]), frozenset(_facts_of(world)))


def _act(world: World, act: Act, group: Sequence[Member]) -> tuple[int, Any]:
    world.now += timedelta(milliseconds=1)
    (who, what, whom), ids = act, [member.id for member in group]
    if what == "rewind":
        return world.rewind(ids[who], None)
    if what == "unfriend":
        return world.unfriend(ids[who], ids[whom])
    return world.swipe(ids[who], what, ids[whom])


def _facts_of(world: World) -> Iterator[Fact]:
    for (uid, target_id), (kind, _) in world.swipes.items():
        yield "swipe", uid, target_id, kind
        if kind != "dislike":
            yield "queue", uid, target_id, kind == "superlike", (target_id, uid) in world.swipes
    for pair in world.met:
        yield "pair", *pair, world.mask(pair)
    for pair in world.friends:
        yield "friends", *pair
    for uid, points in world.scores().items():
        yield "score", uid, points
    for (uid, kind, _), used in world.used.items():
        if kind != "dislike" and used:
            yield "quota", uid, kind, used


def stored_facts(site: Site, groups: Sequence[Sequence[Member]]) -> list[frozenset[Fact]]:
    """The same facts as database and Redis have them, for each group."""
    numbers = {member.id: number for number, group in enumerate(groups) for member in group}
    time.sleep(POINTS_SECONDS)
    facts: list[set[Fact]] = [set() for _ in groups]
    for fact in _stored(site, list(numbers)):
        facts[next(numbers[part] for part in fact if isinstance(part, int) and part in numbers)].add(fact)
    return [frozenset(found) for found in facts]


def _stored(site: Site, ids: list[int]) -> Iterable[Fact]:
    facts: list[Fact] = []
    with site.looking() as session:
        for swipe in session.scalars(select(Swipe).where(or_(Swipe.uid.in_(ids), Swipe.sid.in_(ids)))):
            facts.append(("swipe", swipe.uid, swipe.sid, swipe.kind.value))
        for like in session.scalars(select(LikeIn).where(or_(LikeIn.uid.in_(ids), LikeIn.sid.in_(ids)))):
            facts.append(("queue", like.uid, like.sid, bool(like.is_super), bool(like.is_answered)))
        for pair in session.scalars(select(Pair).where(or_(Pair.uid1.in_(ids), Pair.uid2.in_(ids)))):
            facts.append(("pair", pair.uid1, pair.uid2, pair.mask))
        for row in session.scalars(select(Friend).where(or_(Friend.uid1.in_(ids), Friend.uid2.in_(ids)))):
            facts.append(("friends", row.uid1, row.uid2))
        for quota in session.scalars(select(Quota).where(Quota.uid.in_(ids), Quota.used != 0)):
            facts.append(("quota", quota.uid, quota.kind.value, quota.used))
    scores = site.app.extensions["redis"].zmscore(KEY, ids) if ids else []
    return facts + [("score", uid, int(score)) for uid, score in zip(ids, scores, strict=True) if score is not None]
