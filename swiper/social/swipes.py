"""Swiping, and taking the last swipe back."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from flask import current_app
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError

from swiper.clock import now
from swiper.db.transactions import after_commit, again_on_conflict, quick_lane, transactional
from swiper.db.upsert import insert_if_absent
from swiper.errors import AlreadySwipedError, NotFoundError, NothingToRewindError, ParamError
from swiper.extensions import db
from swiper.fastpath.postgres_statements import BEGIN, COMMIT, StatementRunner
from swiper.profiles.models import Status, User
from swiper.signals import matched, rewound, swiped
from swiper.social import quick
from swiper.social.models import LikeIn, Swipe, SwipeKind
from swiper.social.pairs import PairState, lock_pair, pair_of, set_mask
from swiper.social.ranking import add_points
from swiper.vip.levels import VipStatus
from swiper.vip.quotas import QuotaKind, day_of, give_back, limit_of, spend

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
    lane = quick_lane()
    limit = limit_of(QUOTA_OF[kind], current) if kind in QUOTA_OF else None
    if lane is None:
        return _swipe(uid, sid, kind, limit)
    outcome = again_on_conflict("swipe", lambda: _swipe_quickly(lane, uid, sid, kind, limit))
    # What changes nothing is rare, and answered from the rows that are there.
    return outcome or _swipe(uid, sid, kind, limit)


@transactional
def _swipe(uid: int, sid: int, kind: SwipeKind, limit: int | None) -> Outcome:
    pair = lock_pair(uid, sid)
    if pair.mask & pair.own_swipe:
        if db.session.get_one(Swipe, (uid, sid), populate_existing=True).kind is not kind:
            raise AlreadySwipedError()
        return Outcome(pair.is_matched)
    _require_both(uid, sid)
    if kind in QUOTA_OF:
        spend(uid, QUOTA_OF[kind], limit)
    db.session.add(Swipe(uid=uid, sid=sid, kind=kind))
    if kind.is_like:
        _add_like(uid, sid, kind, pair)
    if pair.mask & pair.other_like:
        _mark_answered(uid, sid, is_answered=True)
    set_mask(pair, pair.mask | pair.own_swipe | pair.own_like * kind.is_like)
    after_commit(lambda: _tell(uid, sid, kind, pair.is_matched))
    return Outcome(pair.is_matched)


def _swipe_quickly(
    lane: StatementRunner, uid: int, sid: int, kind: SwipeKind, limit: int | None
) -> tuple[Outcome | None, list[Callable[[], object]]]:
    """What `_swipe` does, in one round trip; None where that did nothing, and `_swipe` knows why."""
    pair, quota = pair_of(uid, sid), QUOTA_OF.get(kind)
    bits = pair.own_swipe | pair.own_like * kind.is_like
    moment = now()
    values = [uid, sid, pair.uid1, pair.uid2, bits, pair.own_swipe, pair.other_like, moment, kind]
    if kind.is_like:
        values += [pair.other_swipe, int(kind is SwipeKind.SUPERLIKE), quota, day_of(moment), limit]
    statement = quick.LIKE if kind.is_like else quick.DISLIKE
    try:
        _, rows, _ = lane.ask((BEGIN, ()), (statement, values), (COMMIT, ()))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == quick.BEYOND_QUOTA:
            # `_swipe` decides again, under the row's lock, and knows when the quota comes back.
            return None, []
        raise
    if not rows:
        return None, []
    pair.mask = rows[0][0]
    return Outcome(pair.is_matched), [lambda: _tell(uid, sid, kind, pair.is_matched)]


def _require_both(uid: int, sid: int) -> None:
    """Both accounts must be there: the caller's may have been deleted while this request was on its way."""
    query = select(User.id).where(User.id.in_((uid, sid)), User.status == Status.ACTIVE)
    if set(db.session.scalars(query)) != {uid, sid}:
        raise NotFoundError()


def _add_like(uid: int, sid: int, kind: SwipeKind, pair: PairState) -> None:
    is_super = int(kind is SwipeKind.SUPERLIKE)
    is_answered = int(bool(pair.mask & pair.other_swipe))
    row = {"sid": sid, "uid": uid, "is_super": is_super, "is_answered": is_answered, "liked_at": now()}
    insert_if_absent(LikeIn, [row], ["sid", "uid"])


def _mark_answered(uid: int, sid: int, *, is_answered: bool) -> None:
    """Note on the like of `sid` for `uid` whether `uid` has swiped back."""
    db.session.execute(
        update(LikeIn).where(LikeIn.sid == uid, LikeIn.uid == sid).values(is_answered=int(is_answered)),
        execution_options={"synchronize_session": False},
    )


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
    spend(uid, QuotaKind.REWIND, limit_of(QuotaKind.REWIND, current))
    if kind in QUOTA_OF:
        give_back(uid, QUOTA_OF[kind], day_of(stored.swiped_at))
    db.session.delete(stored)
    if kind.is_like:
        db.session.execute(delete(LikeIn).where(LikeIn.sid == sid, LikeIn.uid == uid))
    if pair.mask & pair.other_like:
        _mark_answered(uid, sid, is_answered=False)
    set_mask(pair, pair.mask & ~(pair.own_swipe | pair.own_like))
    db.session.flush()
    done.append(sid)
    after_commit(lambda: add_points(sid, kind, sign=-1))
    after_commit(functools.partial(rewound.send, None, uid=uid, sid=sid))
