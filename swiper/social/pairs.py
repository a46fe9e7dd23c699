"""The row between two people: locked first by every change, so that all changes to one pair take turns."""

from dataclasses import dataclass

from sqlalchemy import delete, update

from swiper.clock import now
from swiper.db.statements import execute
from swiper.extensions import db
from swiper.social import queries
from swiper.social.models import ENDED, FIRST_LIKES, FIRST_SWIPED, MATCHED, SECOND_LIKES, SECOND_SWIPED, Friend, Pair


@dataclass
class PairState:
    """A pair, seen from one side: the bits of `mask` that are one's own, and the other's."""

    uid1: int
    uid2: int
    own_like: int
    own_swipe: int
    other_like: int
    other_swipe: int
    mask: int = 0

    @property
    def key(self) -> dict[str, int]:
        """The key of the row."""
        return {"uid1": self.uid1, "uid2": self.uid2}

    @property
    def is_matched(self) -> bool:
        """Both like each other and neither has ended it."""
        return self.mask == MATCHED

    @property
    def is_ended(self) -> bool:
        """Somebody unfriended the other, for good."""
        return bool(self.mask & ENDED)


def pair_of(uid: int, sid: int) -> PairState:
    """The pair as `uid` sees it, with nothing known of its mask."""
    first, second = (FIRST_LIKES, FIRST_SWIPED), (SECOND_LIKES, SECOND_SWIPED)
    return PairState(uid, sid, *first, *second) if uid < sid else PairState(sid, uid, *second, *first)


def lock_pair(uid: int, sid: int) -> PairState:
    """Lock the row between two people until the transaction ends, making it where there is none."""
    pair = pair_of(uid, sid)
    # An upsert that changes nothing still takes the row lock, on every database.
    ((pair.mask,),) = execute(queries.LOCK_PAIR, pair.key | {"now": now()})
    return pair


def set_mask(pair: PairState, mask: int) -> None:
    """Store a new mask for a locked pair, and make the friendship row agree with it."""
    was_matched, pair.mask = pair.is_matched, mask
    db.session.execute(
        update(Pair).where(Pair.uid1 == pair.uid1, Pair.uid2 == pair.uid2).values(mask=mask, changed_at=now()),
        execution_options={"synchronize_session": False},
    )
    if pair.is_matched:
        befriend(pair)
    elif was_matched:
        db.session.execute(delete(Friend).where(Friend.uid1 == pair.uid1, Friend.uid2 == pair.uid2))


def befriend(pair: PairState) -> None:
    """Give a locked pair of two likes its friendship row, unless it is there."""
    execute(queries.BEFRIEND, pair.key | {"now": now()})
