"""SQL of matches: friends, the repair of matches, and the removal of what a deleted user leaves."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Select, delete, or_, select, update

from swiper.db.statements import Statement
from swiper.extensions import db
from swiper.social.models import MATCHED, Friend, LikeIn, Pair, Swipe, SwipeKind

# The other person's id and the time of the match. Which of the two has the lower id decides the side.
MATCHES_ABOVE = Statement("SELECT uid2, matched_at FROM friends WHERE uid1 = :uid", int, datetime)
MATCHES_BELOW = Statement(
    "SELECT uid1, matched_at FROM friends WHERE uid2 = :uid",
    *(int, datetime),
    everywhere="A match is distributed by the lower of its two ids.",
)
FRIENDS_AMONG = Statement(
    """SELECT uid1 FROM friends WHERE uid1 IN :uids AND uid2 = :uid
    UNION ALL SELECT uid2 FROM friends WHERE uid1 = :uid AND uid2 IN :uids""",
    int,
)


def matches_to_repair(count: int) -> list[tuple[int, int]]:
    """Return the keys of up to `count` pairs of two likes that have no friendship row."""
    query = (
        select(Pair.uid1, Pair.uid2)
        .outerjoin(Friend, (Friend.uid1 == Pair.uid1) & (Friend.uid2 == Pair.uid2))
        .where(Pair.mask == MATCHED, Friend.uid1.is_(None))
        .limit(count)
        .execution_options(everywhere="The sweep looks for matches of anybody.")
    )
    return [(uid1, uid2) for uid1, uid2 in db.session.execute(query)]


def swipes_of(uid: int) -> Select[Swipe]:
    """Return the query for a user's own swipes, which an export runs page by page."""
    return select(Swipe).where(Swipe.uid == uid)


def friends_of(uid: int) -> Select[Friend]:
    """Return the query for a user's matches, which an export runs page by page."""
    query = select(Friend).where(or_(Friend.uid1 == uid, Friend.uid2 == uid))
    return query.execution_options(everywhere="A match is distributed by the lower of its two ids.")


def lock_pairs_of(uid: int, count: int) -> list[int]:
    """Lock up to `count` pairs of a user on each side in the running transaction, and return the others' ids."""
    above = select(Pair.uid2).where(Pair.uid1 == uid).limit(count).with_for_update()
    below = select(Pair.uid1).where(Pair.uid2 == uid).limit(count)
    below = below.execution_options(everywhere="A pair is distributed by the lower of its two ids.")
    lower = list(db.session.scalars(below))
    higher = list(db.session.scalars(above))
    if lower or higher:
        # An update that changes nothing locks rows of several machines, which FOR UPDATE cannot.
        db.session.execute(
            update(Pair).where(Pair.uid2 == uid, Pair.uid1.in_(lower)).values(mask=Pair.mask),
            execution_options={"synchronize_session": False},
        )
    return higher + lower


def swipes_on(uid: int, others: Collection[int]) -> list[tuple[int, SwipeKind, datetime]]:
    """Return target, kind and time of a user's swipes on `others`."""
    query = select(Swipe.sid, Swipe.kind, Swipe.swiped_at).where(Swipe.uid == uid, Swipe.sid.in_(others))
    return [(target_id, kind, at) for target_id, kind, at in db.session.execute(query)]


def remove_between(uid: int, others: Collection[int]) -> None:
    """Remove all swipes, likes, matches and pairs between a user and `others`, in the running transaction."""
    for model, sides in (
        (Swipe, ((Swipe.uid == uid) & Swipe.sid.in_(others), (Swipe.sid == uid) & Swipe.uid.in_(others))),
        (LikeIn, ((LikeIn.uid == uid) & LikeIn.sid.in_(others), (LikeIn.sid == uid) & LikeIn.uid.in_(others))),
        (Friend, ((Friend.uid1 == uid) & Friend.uid2.in_(others), (Friend.uid2 == uid) & Friend.uid1.in_(others))),
        (Pair, ((Pair.uid1 == uid) & Pair.uid2.in_(others), (Pair.uid2 == uid) & Pair.uid1.in_(others))),
    ):
        for side in sides:
            db.session.execute(delete(model).where(side))
