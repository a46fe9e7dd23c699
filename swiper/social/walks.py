"""Who fits a wish and is not swiped, as the database has it: one by one round the circle, or asked about by id."""

import heapq
import itertools
from collections.abc import Iterator

from sqlalchemy import Select, and_, or_, select

from swiper.clock import now
from swiper.db.transactions import quick_lane
from swiper.extensions import db
from swiper.profiles.ages import age_on
from swiper.profiles.cards import KeptCard
from swiper.profiles.models import DatingSex, Discovery, Sex
from swiper.social import quick
from swiper.social.models import LikeIn, Swipe
from swiper.social.wishes import FULL_CIRCLE, Wish
from swiper.vip.models import Membership

# A pass grows by 100 people; so many are read at once that some of them may be swiped already.
CHUNK = 120
MAX_CHUNK = 2_000
# So many superlikers, and as many likers, are looked at when a pass begins; whoever waits behind them is in the rest.
LIKERS = 100

Place = tuple[int, int]


def look_again(wish: Wish, uids: list[int], count: int) -> tuple[list[int], dict[int, KeptCard]]:
    """Both `waiting_likers` and, for `uids`, `fitting_cards`."""
    lane = quick_lane()
    if lane is None:
        return waiting_likers(wish), fitting_cards(wish, uids, count)
    (rows,) = lane.read((quick.CARDS_AND_LIKERS, wish.values(wish.day, uids, now(), count, LIKERS)))
    return [row[0] for row in rows if row[1] is None], {row[0]: row for row in rows if row[1] is not None}


def fitting_cards(wish: Wish, uids: list[int], count: int) -> dict[int, KeptCard]:
    """The cards of the first `count` of `uids` who fit the wish and are not swiped, in the same order."""
    if not uids:
        return {}
    lane = quick_lane()
    if lane is not None:
        (rows,) = lane.read((quick.FITTING_CARDS, wish.values(wish.day, uids, now(), count)))
        return {row[0]: row for row in rows}
    runs = and_(Membership.uid == Discovery.uid, Membership.expires_at > now())
    query = select(Discovery.uid, Discovery.card, Discovery.birthday, Membership.level).outerjoin(Membership, runs)
    found = {
        uid: (uid, card.encode(), age_on(wish.day, birthday), level)
        for uid, card, birthday, level in db.session.execute(query.where(Discovery.uid.in_(uids), wish.fits()))
    }
    return {uid: found[uid] for uid in unseen(wish.uid, [uid for uid in uids if uid in found])[:count]}


def waiting_likers(wish: Wish) -> list[int]:
    """Those who wait for the caller's answer and fit: superlikers, then likers, the longest waiting first."""
    found: list[int] = []
    for is_super in (1, 0):
        query = select(LikeIn.uid, LikeIn.liked_at).where(
            LikeIn.sid == wish.uid, LikeIn.is_answered == 0, LikeIn.is_super == is_super
        )
        waiting = query.order_by(LikeIn.liked_at, LikeIn.uid).limit(LIKERS).subquery()
        fitting = select(waiting.c.uid).join(Discovery, Discovery.uid == waiting.c.uid).where(wish.fits())
        found += db.session.scalars(fitting.order_by(waiting.c.liked_at, waiting.c.uid))
    return found


def still_fitting(wish: Wish, uids: list[int]) -> list[int]:
    """Those of `uids` who fit the wish and are not swiped, in the same order."""
    if not uids:
        return []
    lane = quick_lane()
    if lane is None:
        fitting = set(db.session.scalars(select(Discovery.uid).where(Discovery.uid.in_(uids), wish.fits())))
        return unseen(wish.uid, [uid for uid in uids if uid in fitting])
    (rows,) = lane.read((quick.FITTING, wish.values(uids)))
    left = {uid for (uid,) in rows}
    return [uid for uid in uids if uid in left]


def unseen(uid: int, others: list[int]) -> list[int]:
    """Those of `others` whom `uid` has not swiped."""
    if not others:
        return []
    lane = quick_lane()
    if lane is None:
        seen = set(db.session.scalars(select(Swipe.sid).where(Swipe.uid == uid, Swipe.sid.in_(others))))
    else:
        (rows,) = lane.read((quick.SWIPED, (uid, others)))
        seen = {sid for (sid,) in rows}
    return [other for other in others if other not in seen]


def unseen_rest(wish: Wish, after: Place | None = None) -> Iterator[Place]:
    """`(shuffle, uid)` of all unseen people who fit, beginning at the caller's pivot or behind `after`, once round."""
    walks = [_walk(wish, sex, after) for sex in wish.sexes]
    turned = heapq.merge(*walks, key=lambda place: ((place[0] - wish.pivot) % FULL_CIRCLE, place[1]))
    size = CHUNK
    while chunk := list(itertools.islice(turned, size)):
        left = set(unseen(wish.uid, [uid for _, uid in chunk]))
        yield from (place for place in chunk if place[1] in left)
        size = min(size * 2, MAX_CHUNK)


def _walk(wish: Wish, sex: Sex, after: Place | None) -> Iterator[Place]:
    """`(shuffle, uid)` of everyone of one sex who fits, read chunk by chunk."""
    halves = (False, True) if after is None or after[0] >= wish.pivot else (True,)
    for is_second_half in halves:
        last = after if is_second_half == halves[0] else None
        while True:
            chunk = _read_chunk(wish, sex, is_second_half, last)
            yield from chunk
            if len(chunk) < CHUNK:
                break
            last = chunk[-1]


def _read_chunk(wish: Wish, sex: Sex, is_second_half: bool, last: Place | None) -> list[Place]:
    lane = quick_lane()
    if lane is None:
        rows = db.session.execute(_walk_query(wish, sex, is_second_half, last))
        return [(row.shuffle, row.uid) for row in rows]
    low, high = (0, wish.pivot) if is_second_half else (wish.pivot, FULL_CIRCLE)
    place, uid = last or (low, 0)
    new = (wish.from_id, wish.from_moment)
    admitted = (DatingSex(wish.sex), wish.born_after, wish.born_until)
    (found,) = lane.read((quick.WALK, (wish.uid, wish.location, sex, *admitted, place, high, uid, CHUNK, *new)))
    return [(place, uid) for place, uid in found]


def _walk_query(wish: Wish, sex: Sex, is_second_half: bool, last: Place | None) -> Select[int, int]:
    half = Discovery.shuffle < wish.pivot if is_second_half else Discovery.shuffle >= wish.pivot
    query = select(Discovery.shuffle, Discovery.uid).where(
        Discovery.location == wish.location, Discovery.sex == sex, wish.admits(), half
    )
    if last:
        # Spelled out, since not every database uses an index for a comparison of rows.
        after = and_(Discovery.shuffle == last[0], Discovery.uid > last[1])
        query = query.where(Discovery.shuffle >= last[0], or_(Discovery.shuffle > last[0], after))
    return query.order_by(Discovery.shuffle, Discovery.uid).limit(CHUNK)
