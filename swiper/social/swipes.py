"""Stores swipes, and takes back the last one."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy.exc import DBAPIError, IntegrityError

from swiper.clock import day_of, now
from swiper.db.statements import commit_together, execute, on_single_node, read
from swiper.db.transactions import after_commit, again_on_conflict, is_in_doubt, is_in_transaction, transactional
from swiper.errors import AlreadySwipedError, NotFoundError, NothingToRewindError, ParamError
from swiper.ids import new_id
from swiper.signals import matched, rewound, swiped
from swiper.social.models import POINTS, PairState, SwipeKind, pair_of
from swiper.social.pairs import add_friend, lock_pair, set_mask
from swiper.social.queries import swipes as queries
from swiper.social.queries.people import COUNT_ACTIVE
from swiper.social.queries.ranking import ADD_CHANGE
from swiper.social.ranking import add_points
from swiper.vip.levels import VipStatus, give_back_quota, limit_of, spend_quota
from swiper.vip.models import QuotaKind

# What COUNT_ACTIVE returns for two people with active accounts.
BOTH = [(2,)]
QUOTA_OF = {SwipeKind.LIKE: QuotaKind.LIKE, SwipeKind.SUPERLIKE: QuotaKind.SUPERLIKE}


@dataclass(frozen=True)
class Outcome:
    """The result of a swipe."""

    is_matched: bool


def swipe(uid: int, target_id: int, kind: SwipeKind, vip_status: VipStatus) -> Outcome:
    """Store the swipe of `uid` on `target_id`. The same swipe again changes nothing and costs nothing.

    Raises ParamError if both ids are the same, NotFoundError if one of the two accounts is not active,
    AlreadySwipedError if the caller has made another kind of swipe on this person, and RateLimitedError if the quota
    of the day is used up.
    """
    if uid == target_id:
        raise ParamError("You cannot swipe yourself.", errors={"sid": ["You cannot swipe yourself."]})
    limit = limit_of(QUOTA_OF[kind], vip_status) if kind in QUOTA_OF else None
    return _swipe(uid, target_id, kind, limit)


def _swipe_single_node(uid: int, target_id: int, kind: SwipeKind, limit: int | None) -> Outcome:
    outcome: Outcome | None = again_on_conflict("swipe", lambda: _try_single_node(uid, target_id, kind, limit))
    # It is rare that nothing was stored. The portable statements find out why.
    return outcome or _swipe_portably(uid, target_id, kind, limit)


def _try_single_node(
    uid: int, target_id: int, kind: SwipeKind, limit: int | None
) -> tuple[Outcome | None, list[Callable[[], object]]]:
    """Store a swipe in one round trip. Return its outcome, None if nothing was stored, and what to call afterwards."""
    pair = pair_of(uid, target_id)
    values = _values_of(pair, uid, target_id, kind, now())
    if kind in QUOTA_OF:
        values |= {"quota": QUOTA_OF[kind], "today": day_of(values["now"]), "limit": limit}
    statement = queries.LIKE_SINGLE_NODE if kind.is_like else queries.DISLIKE_SINGLE_NODE
    try:
        rows = commit_together((statement, values))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == queries.QUOTA_EXCEEDED:
            return None, []
        raise
    if not rows:
        return None, []
    pair.mask = rows[0][0]
    return Outcome(pair.is_matched), [lambda: _announce(uid, target_id, kind, pair.is_matched)]


def _values_of(pair: PairState, uid: int, target_id: int, kind: SwipeKind, moment: datetime) -> dict[str, Any]:
    """Return the values of the statements that store a swipe, without those of the quota."""
    return pair.key | {
        "uid": uid,
        "sid": target_id,
        "kind": kind,
        "is_super": int(kind is SwipeKind.SUPERLIKE),
        "bits": pair.own_swipe | pair.own_like * kind.is_like,
        "own_swipe": pair.own_swipe,
        "other_like": pair.other_like,
        "other_swipe": pair.other_swipe,
        "now": moment,
    }


@on_single_node(_swipe_single_node)
def _swipe(uid: int, target_id: int, kind: SwipeKind, limit: int | None) -> Outcome:
    return _swipe_portably(uid, target_id, kind, limit)


def _swipe_portably(uid: int, target_id: int, kind: SwipeKind, limit: int | None) -> Outcome:
    if is_in_transaction():
        raise RuntimeError("a swipe that changes nothing rolls its transaction back, so it needs one of its own")
    while True:
        try:
            return _store_swipe(uid, target_id, kind, limit)
        except _AlreadyStoredError:
            outcome = _stored_outcome(uid, target_id, kind)
        if outcome is not None:
            return outcome


class _AlreadyStoredError(Exception):
    """The caller has swiped this person before."""


@transactional
def _store_swipe(uid: int, target_id: int, kind: SwipeKind, limit: int | None) -> Outcome:
    pair, moment = pair_of(uid, target_id), now()
    values = _values_of(pair, uid, target_id, kind, moment)
    # This locks the pair, so the next statements see everything that the other person has committed.
    ((pair.mask,),) = execute(queries.ADD_TO_PAIR, values)
    try:
        execute(queries.ADD_SWIPE, values)
    except IntegrityError as error:
        raise _AlreadyStoredError() from error
    if execute(COUNT_ACTIVE, {"uids": (uid, target_id)}) != BOTH:
        # The caller's own account may have been deleted since the request began.
        raise NotFoundError()
    if kind in QUOTA_OF:
        spend_quota(uid, QUOTA_OF[kind], limit)
    if kind.is_like:
        execute(queries.ADD_LIKE, values | {"is_answered": int(bool(pair.mask & pair.other_swipe))})
    if pair.mask & pair.other_like:
        execute(queries.MARK_ANSWERED, {"uid": uid, "sid": target_id, "is_answered": 1})
    if pair.is_matched:
        add_friend(pair)
    after_commit(lambda: _announce(uid, target_id, kind, pair.is_matched))
    return Outcome(pair.is_matched)


@transactional
def _stored_outcome(uid: int, target_id: int, kind: SwipeKind) -> Outcome | None:
    """Return the outcome of a swipe that is stored already, or None if it was taken back meanwhile.

    Raises AlreadySwipedError if the stored swipe is of another kind.
    """
    pair = lock_pair(uid, target_id)
    rows = execute(queries.SWIPE, {"uid": uid, "sid": target_id})
    if not rows:
        return None
    if rows[0][0] is not kind:
        raise AlreadySwipedError()
    return Outcome(pair.is_matched)


def _announce(uid: int, target_id: int, kind: SwipeKind, is_matched: bool) -> None:
    add_points(target_id, kind)
    swiped.send(None, uid=uid, target_id=target_id, kind=kind)
    if is_matched:
        matched.send(None, uid=uid, target_id=target_id)


class _TakenBackMeanwhileError(Exception):
    """Another request has taken back the swipe that was the last one."""


def rewind(uid: int, vip_status: VipStatus, target_id: int | None = None) -> int:
    """Take back the caller's last swipe, with its match, points, like and quota. Return the swiped person's id.

    Two calls at the same moment take back two swipes. Raises ParamError if the last swipe is not on `target_id`,
    NothingToRewindError if there is no swipe within the window or if the match was ended, and RateLimitedError if the
    rewinds of the day are used up.
    """
    while True:
        # Read before the transaction, which may run twice: its second run must not take back a second swipe.
        last = _last_target(uid)
        if target_id is not None and target_id != last:
            raise ParamError("This is not your last swipe.", errors={"sid": ["This is not your last swipe."]})
        try:
            _take_back(uid, last, vip_status)
        except _TakenBackMeanwhileError:
            # The swipe before it is the last one now. The quota of rewinds bounds this loop.
            continue
        return last


def _last_target(uid: int) -> int:
    (rows,) = read((queries.LAST_SWIPE, {"uid": uid}))
    window = timedelta(seconds=current_app.config["REWIND_WINDOW_SECONDS"])
    if not rows or now() - rows[0][1] > window:
        raise NothingToRewindError()
    target_id: int = rows[0][0]
    return target_id


@transactional
def _take_back(uid: int, target_id: int, vip_status: VipStatus) -> None:
    """Take back the swipe on `target_id`."""
    pair = lock_pair(uid, target_id)
    key = {"uid": uid, "sid": target_id}
    rows = execute(queries.SWIPE, key)
    if not rows and not is_in_doubt():
        raise _TakenBackMeanwhileError()
    # If the swipe is gone and there is a doubt, an earlier run may have taken it back.
    if not rows or pair.is_ended:
        raise NothingToRewindError()
    ((kind, swiped_at),) = rows
    spend_quota(uid, QuotaKind.REWIND, limit_of(QuotaKind.REWIND, vip_status))
    if kind in QUOTA_OF:
        give_back_quota(uid, QUOTA_OF[kind], day_of(swiped_at))
    execute(queries.REMOVE_SWIPE, key)
    if kind.is_like:
        execute(queries.REMOVE_LIKE, key)
    if pair.mask & pair.other_like:
        execute(queries.MARK_ANSWERED, key | {"is_answered": 0})
    set_mask(pair, pair.mask & ~(pair.own_swipe | pair.own_like))
    change = {"swiped_at": swiped_at, "points": -POINTS[kind], "is_removal": 1}
    execute(ADD_CHANGE, change | {"uid": target_id, "id": new_id()})
    after_commit(lambda: add_points(target_id, kind, sign=-1))
    after_commit(functools.partial(rewound.send, None, uid=uid, target_id=target_id))
