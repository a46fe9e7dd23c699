"""Locks and changes the row between two people, so that changes to one pair happen one after the other."""

from swiper.clock import now
from swiper.db.statements import execute
from swiper.social.models import PairState, pair_of
from swiper.social.queries import swipes as queries


def lock_pair(uid: int, target_id: int) -> PairState:
    """Lock the row between two people until the transaction ends, and return it; a missing row is inserted."""
    pair = pair_of(uid, target_id)
    # An upsert that changes nothing locks the row on every database.
    ((pair.mask,),) = execute(queries.LOCK_PAIR, pair.key | {"now": now()})
    return pair


def set_mask(pair: PairState, mask: int) -> None:
    """Store a new mask for a locked pair, and add or remove the friendship row accordingly."""
    was_matched, pair.mask = pair.is_matched, mask
    execute(queries.SET_MASK, pair.key | {"mask": mask, "now": now()})
    if pair.is_matched:
        add_friend(pair)
    elif was_matched:
        execute(queries.REMOVE_FRIEND, pair.key)


def add_friend(pair: PairState) -> None:
    """Insert the friendship row of a locked, matched pair, unless it exists."""
    execute(queries.ADD_FRIEND, pair.key | {"now": now()})
