"""Swiping, and taking the last swipe back."""

from dataclasses import dataclass
from datetime import timedelta

from flask import current_app
from sqlalchemy import delete, select

from swiper.auth.models import Status, User
from swiper.dialect import after_commit, insert_if_absent, now, transactional
from swiper.errors import AlreadySwipedError, NotFoundError, NothingToRewindError, ParamError
from swiper.extensions import db
from swiper.signals import matched, swiped
from swiper.social.models import LikeIn, Swipe, SwipeKind
from swiper.social.pairs import PairState, lock_pair, set_mask
from swiper.social.ranking import add_points
from swiper.vip.levels import Standing
from swiper.vip.quotas import QuotaKind, day_of, give_back, limit_of, spend

QUOTA_OF = {SwipeKind.LIKE: QuotaKind.LIKE, SwipeKind.SUPERLIKE: QuotaKind.SUPERLIKE}


@dataclass(frozen=True)
class Outcome:
    """What a swipe led to."""

    is_matched: bool


@transactional
def swipe(uid: int, sid: int, kind: SwipeKind, current: Standing) -> Outcome:
    """Store what `uid` thinks of `sid`; the same swipe again changes nothing and costs nothing.

    Raises ParamError for oneself, NotFoundError for somebody who is not there, AlreadySwipedError for a second,
    different swipe, RateLimitedError when the day's quota is used up.
    """
    if uid == sid:
        raise ParamError("You cannot swipe yourself.", errors={"sid": ["You cannot swipe yourself."]})
    pair = lock_pair(uid, sid)
    former = db.session.get(Swipe, (uid, sid), populate_existing=True)
    if former is not None:
        if former.kind is not kind:
            raise AlreadySwipedError()
        return Outcome(pair.is_matched)
    _require_both(uid, sid)
    if kind in QUOTA_OF:
        spend(uid, QUOTA_OF[kind], limit_of(QUOTA_OF[kind], current))
    db.session.add(Swipe(uid=uid, sid=sid, kind=kind))
    if kind.is_like:
        _add_like(uid, sid, kind, pair)
    after_commit(lambda: _tell(uid, sid, kind, pair.is_matched))
    return Outcome(pair.is_matched)


def _require_both(uid: int, sid: int) -> None:
    """Both accounts must be there: the caller's may have been deleted while this request was on its way."""
    query = select(User.id).where(User.id.in_((uid, sid)), User.status == Status.ACTIVE)
    if set(db.session.scalars(query)) != {uid, sid}:
        raise NotFoundError()


def _add_like(uid: int, sid: int, kind: SwipeKind, pair: PairState) -> None:
    is_super = int(kind is SwipeKind.SUPERLIKE)
    row = {"sid": sid, "uid": uid, "is_super": is_super, "liked_at": now()}
    insert_if_absent(LikeIn, [row], ["sid", "uid"])
    set_mask(pair, pair.mask | pair.own_bit)


def _tell(uid: int, sid: int, kind: SwipeKind, is_matched: bool) -> None:
    add_points(sid, kind)
    swiped.send(None, uid=uid, sid=sid, kind=kind)
    if is_matched:
        matched.send(None, uid=uid, sid=sid)


class _TakenBackMeanwhileError(Exception):
    """The swipe that was the last one is gone."""


def rewind(uid: int, current: Standing, sid: int | None = None) -> int:
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
def _take_back(uid: int, sid: int, current: Standing, done: list[int]) -> None:
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
        set_mask(pair, pair.mask & ~pair.own_bit)
    db.session.flush()
    done.append(sid)
    after_commit(lambda: add_points(sid, kind, sign=-1))
