"""Swiping, and taking the last swipe back."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import delete, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from swiper.clock import day_of, now
from swiper.db.statements import commit_together, execute, on_single_node
from swiper.db.transactions import after_commit, again_on_conflict, is_in_transaction, transactional
from swiper.errors import AlreadySwipedError, NotFoundError, NothingToRewindError, ParamError
from swiper.extensions import db
from swiper.signals import matched, rewound, swiped
from swiper.social import queries
from swiper.social.models import LikeIn, Swipe, SwipeKind
from swiper.social.pairs import PairState, befriend, lock_pair, pair_of, set_mask
from swiper.social.ranking import add_points
from swiper.vip.levels import VipStatus, give_back_quota, limit_of, spend_quota
from swiper.vip.models import QuotaKind

QUOTA_OF = {SwipeKind.LIKE: QuotaKind.LIKE, SwipeKind.SUPERLIKE: QuotaKind.SUPERLIKE}


@dataclass(frozen=True)
class Outcome:
    """What a swipe led to."""

    is_matched: bool


def swipe(uid: int, sid: int, kind: SwipeKind, current: VipStatus) -> Outcome:
    """Store what `uid` thinks of `sid`; the same swipe again changes nothing and costs nothing.

    Raises ParamError for oneself, NotFoundError for somebody who is not there, AlreadySwipedError for a second,
    different swipe, RateLimitedError when the day's quota is used up.
    """
    if uid == sid:
        raise ParamError("You cannot swipe yourself.", errors={"sid": ["You cannot swipe yourself."]})
    limit = limit_of(QUOTA_OF[kind], current) if kind in QUOTA_OF else None
    return _swipe(uid, sid, kind, limit)


def _swipe_at_once(uid: int, sid: int, kind: SwipeKind, limit: int | None) -> Outcome:
    outcome: Outcome | None = again_on_conflict("swipe", lambda: _try_at_once(uid, sid, kind, limit))
    # What changes nothing is rare. In steps it is found out why.
    return outcome or _swipe_in_steps(uid, sid, kind, limit)


def _try_at_once(
    uid: int, sid: int, kind: SwipeKind, limit: int | None
) -> tuple[Outcome | None, list[Callable[[], object]]]:
    """Store a swipe in one round trip, and return what follows its commit as well; None where nothing was stored."""
    pair = pair_of(uid, sid)
    values = _values_of(pair, uid, sid, kind, now())
    if kind in QUOTA_OF:
        values |= {"quota": QUOTA_OF[kind], "today": day_of(values["now"]), "limit": limit}
    statement = queries.LIKE_AT_ONCE if kind.is_like else queries.DISLIKE_AT_ONCE
    try:
        rows = commit_together((statement, values))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == queries.BEYOND_QUOTA:
            return None, []
        raise
    if not rows:
        return None, []
    pair.mask = rows[0][0]
    return Outcome(pair.is_matched), [lambda: _tell(uid, sid, kind, pair.is_matched)]


def _values_of(pair: PairState, uid: int, sid: int, kind: SwipeKind, moment: datetime) -> dict[str, Any]:
    """The values of the statements that store a swipe, but for those of the quota."""
    return pair.key | {
        "uid": uid,
        "sid": sid,
        "kind": kind,
        "is_super": int(kind is SwipeKind.SUPERLIKE),
        "bits": pair.own_swipe | pair.own_like * kind.is_like,
        "own_swipe": pair.own_swipe,
        "other_like": pair.other_like,
        "other_swipe": pair.other_swipe,
        "now": moment,
    }


@on_single_node(_swipe_at_once)
def _swipe(uid: int, sid: int, kind: SwipeKind, limit: int | None) -> Outcome:
    return _swipe_in_steps(uid, sid, kind, limit)


def _swipe_in_steps(uid: int, sid: int, kind: SwipeKind, limit: int | None) -> Outcome:
    if is_in_transaction():
        raise RuntimeError("a swipe that changes nothing undoes its whole transaction, so it needs one of its own")
    while True:
        try:
            return _store_swipe(uid, sid, kind, limit)
        except _AlreadyThereError:
            outcome = _stored_outcome(uid, sid, kind)
        if outcome is not None:
            return outcome


class _AlreadyThereError(Exception):
    """The caller has swiped this person before."""


@transactional
def _store_swipe(uid: int, sid: int, kind: SwipeKind, limit: int | None) -> Outcome:
    pair, moment = pair_of(uid, sid), now()
    values = _values_of(pair, uid, sid, kind, moment)
    # Locks the row between the two, so that what follows sees all that the other one has committed.
    ((pair.mask,),) = execute(queries.ADD_TO_PAIR, values)
    try:
        execute(queries.ADD_SWIPE, values)
    except IntegrityError as error:
        raise _AlreadyThereError() from error
    if {uid for (uid,) in execute(queries.ACTIVE, {"uids": (uid, sid)})} != {uid, sid}:
        # The caller's account may have been deleted while this request was on its way.
        raise NotFoundError()
    if kind in QUOTA_OF:
        spend_quota(uid, QUOTA_OF[kind], limit)
    if kind.is_like:
        execute(queries.ADD_LIKE, values | {"is_answered": int(bool(pair.mask & pair.other_swipe))})
    if pair.mask & pair.other_like:
        execute(queries.MARK_ANSWERED, {"uid": uid, "sid": sid, "is_answered": 1})
    if pair.is_matched:
        befriend(pair)
    after_commit(lambda: _tell(uid, sid, kind, pair.is_matched))
    return Outcome(pair.is_matched)


@transactional
def _stored_outcome(uid: int, sid: int, kind: SwipeKind) -> Outcome | None:
    """What the same swipe has led to; None where it was taken back meanwhile. Raises AlreadySwipedError for another."""
    pair = lock_pair(uid, sid)
    stored = db.session.get(Swipe, (uid, sid), populate_existing=True)
    if stored is None:
        return None
    if stored.kind is not kind:
        raise AlreadySwipedError()
    return Outcome(pair.is_matched)


def _tell(uid: int, sid: int, kind: SwipeKind, is_matched: bool) -> None:
    add_points(sid, kind)
    swiped.send(None, uid=uid, sid=sid, kind=kind)
    if is_matched:
        matched.send(None, uid=uid, sid=sid)


class _TakenBackMeanwhileError(Exception):
    """The swipe that was the last one is gone."""


def rewind(uid: int, current: VipStatus, sid: int | None = None) -> int:
    """Take back the caller's last swipe, with match, points, queue entry and quota; whom it was on is returned.

    Two at the same moment take back two swipes. Raises ParamError when `sid` is not the last swipe's,
    NothingToRewindError when there is none within the window or the match was ended since, RateLimitedError when the
    day's rewinds are used up.
    """
    while True:
        # Found before the transaction, so that running it again cannot take back a second swipe.
        target = _last_swiped(uid)
        if sid is not None and sid != target:
            raise ParamError("This is not your last swipe.", errors={"sid": ["This is not your last swipe."]})
        try:
            _take_back(uid, target, current, [])
        except _TakenBackMeanwhileError:
            # Another rewind was faster; the swipe before is the last one now. There are as many as the quota allows.
            continue
        return target


def _last_swiped(uid: int) -> int:
    query = select(Swipe).where(Swipe.uid == uid).order_by(Swipe.swiped_at.desc(), Swipe.sid.desc()).limit(1)
    last = db.session.scalars(query.execution_options(populate_existing=True)).first()
    window = timedelta(seconds=current_app.config["REWIND_WINDOW_SECONDS"])
    if last is None or now() - last.swiped_at > window:
        raise NothingToRewindError()
    return last.sid


@transactional
def _take_back(uid: int, sid: int, current: VipStatus, done: list[int]) -> None:
    """Take back the swipe on `sid`; `done` is empty until a run has come as far as its commit."""
    pair = lock_pair(uid, sid)
    stored = db.session.get(Swipe, (uid, sid), populate_existing=True)
    if stored is None and not done:
        raise _TakenBackMeanwhileError()
    # A swipe that is gone after `done` may be this request's own work, whose commit was not confirmed.
    if stored is None or pair.is_ended:
        raise NothingToRewindError()
    kind = stored.kind
    spend_quota(uid, QuotaKind.REWIND, limit_of(QuotaKind.REWIND, current))
    if kind in QUOTA_OF:
        give_back_quota(uid, QUOTA_OF[kind], day_of(stored.swiped_at))
    db.session.delete(stored)
    if kind.is_like:
        db.session.execute(delete(LikeIn).where(LikeIn.sid == sid, LikeIn.uid == uid))
    if pair.mask & pair.other_like:
        execute(queries.MARK_ANSWERED, {"uid": uid, "sid": sid, "is_answered": 0})
    set_mask(pair, pair.mask & ~(pair.own_swipe | pair.own_like))
    db.session.flush()
    done.append(sid)
    after_commit(lambda: add_points(sid, kind, sign=-1))
    after_commit(functools.partial(rewound.send, None, uid=uid, sid=sid))
