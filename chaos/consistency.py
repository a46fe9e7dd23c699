"""Whether what the database holds about swipes agrees with itself, and with what people were told."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence, Set

from sqlalchemy import or_, select

from chaos.site import Site
from chaos.traffic import Swiped
from swiper.social.models import MATCHED, POINTS, Friend, LikeIn, Pair, Swipe, pair_of
from swiper.social.ranking import GATHER_SECONDS, KEY
from swiper.vip.models import Quota

Pairs = set[tuple[int, int]]
# Workers gather points for GATHER_SECONDS after the answers; on a busy machine they are late.
POINTS_SECONDS = 20 * GATHER_SECONDS


def lost_swipes(site: Site, told: Iterable[Swiped]) -> list[str]:
    """What was acknowledged and is not in the database: swipes, and matches without a friendship."""
    with site.looking() as session:
        stored = {(row.uid, row.sid): str(row.kind) for row in session.scalars(select(Swipe))}
        friends: Pairs = {(row.uid1, row.uid2) for row in session.scalars(select(Friend))}
    lost = []
    for swipe in told:
        if stored.get((swipe.uid, swipe.target_id)) != swipe.kind:
            lost.append(f"{swipe.kind} of {swipe.uid} on {swipe.target_id}")
        if swipe.is_matched and _sorted(swipe.uid, swipe.target_id) not in friends:
            lost.append(f"match of {swipe.uid} and {swipe.target_id}")
    return lost


def half_written(site: Site, uids: Sequence[int]) -> list[str]:
    """Where the tables disagree about the swipes of `uids`, who have not rewound or unfriended anybody."""
    with site.looking() as session:
        swipes = {(row.uid, row.sid): row.kind for row in session.scalars(select(Swipe).where(Swipe.uid.in_(uids)))}
        likes_in: dict[tuple[int, int], bool] = {
            (row.uid, row.sid): bool(row.is_answered)
            for row in session.scalars(select(LikeIn).where(LikeIn.uid.in_(uids)))
        }
        pairs = session.scalars(select(Pair).where(or_(Pair.uid1.in_(uids), Pair.uid2.in_(uids)))).all()
        friends = session.scalars(select(Friend).where(or_(Friend.uid1.in_(uids), Friend.uid2.in_(uids)))).all()
        used = {(row.uid, str(row.kind)): row.used for row in session.scalars(select(Quota).where(Quota.uid.in_(uids)))}
    likes = {key for key, kind in swipes.items() if kind.is_like}
    masks = {(pair.uid1, pair.uid2): pair.mask for pair in pairs}
    wanted_masks: dict[tuple[int, int], int] = defaultdict(int, dict.fromkeys(masks, 0))
    for (uid, target_id), kind in swipes.items():
        side = pair_of(uid, target_id)
        wanted_masks[side.uid1, side.uid2] |= side.own_swipe | side.own_like * kind.is_like
    # Whether somebody else has answered is known only where all their swipes were read.
    answered = {(uid, target_id) for uid, target_id in likes if target_id in uids and (target_id, uid) in swipes}
    spent = Counter((uid, str(kind)) for (uid, _), kind in swipes.items() if kind.is_like)
    return [
        *_difference("queue entry", likes, likes_in.keys()),
        *_difference(
            "answer", answered, {key for key, is_answered in likes_in.items() if is_answered and key[1] in uids}
        ),
        *_difference("pair", set(wanted_masks.items()), set(masks.items())),
        *_difference(
            "friendship",
            {pair for pair, mask in wanted_masks.items() if mask == MATCHED},
            {(row.uid1, row.uid2) for row in friends},
        ),
        *_difference("quota", set(spent.items()), set(used.items())),
    ]


def ranking_drift(site: Site) -> int:
    """By how many points the ranking differs from the swipes, over all people."""
    scores: Counter[int] = Counter()
    time.sleep(POINTS_SECONDS)
    with site.looking() as session:
        for swipe in session.scalars(select(Swipe)):
            scores[swipe.sid] += POINTS[swipe.kind]
    ranked = {int(uid): int(score) for uid, score in site.app.extensions["redis"].zrange(KEY, 0, -1, withscores=True)}
    return sum(abs(scores[uid] - ranked.get(uid, 0)) for uid in scores.keys() | ranked.keys())


def _sorted(uid: int, target_id: int) -> tuple[int, int]:
    one, other = sorted((uid, target_id))
    return one, other


def _difference(what: str, wanted: Set[object], found: Set[object]) -> list[str]:
    missing = [f"{what} {key} is missing" for key in wanted - found]
    return missing + [f"{what} {key} is too much" for key in found - wanted]
