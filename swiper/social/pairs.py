"""The row between two people: locked first by every change, so that all changes to one pair take turns."""

from dataclasses import dataclass

from sqlalchemy import delete, select, update

from swiper.dialect import insert_if_absent, now, upsert
from swiper.extensions import db
from swiper.social.models import BOTH_LIKE, ENDED, FIRST_LIKES, SECOND_LIKES, Friend, Pair


@dataclass
class PairState:
    """A locked pair, seen from one side."""

    uid1: int
    uid2: int
    own_bit: int
    mask: int

    @property
    def is_matched(self) -> bool:
        """Both like each other and neither has ended it."""
        return self.mask == BOTH_LIKE

    @property
    def is_ended(self) -> bool:
        """Somebody unfriended the other, for good."""
        return bool(self.mask & ENDED)


def lock_pair(uid: int, sid: int) -> PairState:
    """Lock the row between two people until the transaction ends, making it where there is none."""
    uid1, uid2 = sorted((uid, sid))
    row = {"uid1": uid1, "uid2": uid2, "mask": 0, "changed_at": now()}
    # An upsert that changes nothing still takes the row lock, on every database.
    upsert(Pair, [row], ["uid1", "uid2"], lambda stored, _: {"mask": stored.mask})
    mask = db.session.scalars(select(Pair.mask).where(Pair.uid1 == uid1, Pair.uid2 == uid2).with_for_update()).one()
    return PairState(uid1, uid2, FIRST_LIKES if uid == uid1 else SECOND_LIKES, mask)


def set_mask(pair: PairState, mask: int) -> None:
    """Store a new mask for a locked pair, and make the friendship row agree with it."""
    pair.mask = mask
    db.session.execute(
        update(Pair).where(Pair.uid1 == pair.uid1, Pair.uid2 == pair.uid2).values(mask=mask, changed_at=now()),
        execution_options={"synchronize_session": False},
    )
    if pair.is_matched:
        row = {"uid1": pair.uid1, "uid2": pair.uid2, "matched_at": now()}
        insert_if_absent(Friend, [row], ["uid1", "uid2"])
    else:
        db.session.execute(delete(Friend).where(Friend.uid1 == pair.uid1, Friend.uid2 == pair.uid2))
