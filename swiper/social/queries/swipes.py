"""SQL of swipes: the row between two people, the swipe, and the rows that follow from it.

Parameters `:uid` and `:sid` are the ids of the swiper and of the swiped person, like the columns of `swipes`.

The portable way runs one statement after the other in a transaction. On single-node PostgreSQL one statement stores a
whole swipe, and it is sent together with its commit. Its parts are WITH clauses:

- `pair` locks the row between the two people and adds bits to its mask. It returns no row if the caller has swiped this
  person before, if one of the two is not active, or if the quota is used up. All other parts read from `pair`, so
  nothing is written then.
- `quota` counts the swipe. It runs after `pair`, so that all requests lock rows in the same order. Another request may
  have taken the last of the quota at the same moment. The count is then higher than the limit, and a division by zero
  fails the whole statement, so nothing is stored. The rule of the count is in `swiper/vip/queries/levels.py`.
- `answered` notes on the other person's like that it is answered. While the statement waited for the lock of `pair`,
  the other request may have committed that like. An UPDATE would not see it, since its snapshot is older, but
  ON CONFLICT does. So `answered` inserts a like that always exists, and updates it.
"""

from datetime import datetime

from swiper.db.statements import Statement
from swiper.social.models import MATCHED, SwipeKind
from swiper.vip.queries.levels import COUNT_AGAIN

# --- Portable ---

# These two lock the row between two people until the transaction ends, and return its mask.
LOCK_PAIR = Statement(
    """INSERT INTO pairs (uid1, uid2, mask, changed_at) VALUES (:uid1, :uid2, 0, :now)
    ON CONFLICT (uid1, uid2) DO UPDATE SET mask = pairs.mask RETURNING mask""",
    int,
)
ADD_BITS = """ON CONFLICT (uid1, uid2)
    DO UPDATE SET mask = pairs.mask | excluded.mask, changed_at = excluded.changed_at"""
ADD_TO_PAIR = Statement(
    f"INSERT INTO pairs (uid1, uid2, mask, changed_at) VALUES (:uid1, :uid2, :bits, :now) {ADD_BITS} RETURNING mask",  # noqa: S608
    int,
)
SET_MASK = Statement("UPDATE pairs SET mask = :mask, changed_at = :now WHERE uid1 = :uid1 AND uid2 = :uid2")
ADD_FRIEND = Statement(
    """INSERT INTO friends (uid1, uid2, matched_at) VALUES (:uid1, :uid2, :now)
    ON CONFLICT (uid1, uid2) DO NOTHING"""
)
REMOVE_FRIEND = Statement("DELETE FROM friends WHERE uid1 = :uid1 AND uid2 = :uid2")
ADD_SWIPE = Statement("INSERT INTO swipes (uid, sid, kind, swiped_at) VALUES (:uid, :sid, :kind, :now)")
SWIPE = Statement("SELECT kind, swiped_at FROM swipes WHERE uid = :uid AND sid = :sid", SwipeKind, datetime)
LAST_SWIPE = Statement(
    "SELECT sid, swiped_at FROM swipes WHERE uid = :uid ORDER BY swiped_at DESC, sid DESC LIMIT 1", int, datetime
)
REMOVE_SWIPE = Statement("DELETE FROM swipes WHERE uid = :uid AND sid = :sid")
ADD_LIKE = Statement(
    """INSERT INTO likes_in (sid, uid, is_super, is_answered, liked_at)
    VALUES (:sid, :uid, :is_super, :is_answered, :now) ON CONFLICT (sid, uid) DO NOTHING"""
)
REMOVE_LIKE = Statement("DELETE FROM likes_in WHERE sid = :sid AND uid = :uid")
# The like of `sid` for `uid` notes whether `uid` has swiped back.
MARK_ANSWERED = Statement("UPDATE likes_in SET is_answered = :is_answered WHERE sid = :uid AND uid = :sid")

# --- Single-node PostgreSQL ---

# `bits` are added to the mask; `own_swipe`, `other_like` and `other_swipe` are single bits of it.
PAIR = f"""
WITH pair AS (
  INSERT INTO pairs (uid1, uid2, mask, changed_at) SELECT :uid1::int8, :uid2::int8, :bits::int2, :now::timestamptz
  WHERE (SELECT count(*) FROM users WHERE id IN (:uid::int8, :sid::int8) AND status = 'active') = 2 {{and_quota}}
  {ADD_BITS}
  WHERE pairs.mask & :own_swipe::int2 = 0
  RETURNING mask
), stored AS (
  INSERT INTO swipes (uid, sid, kind, swiped_at) SELECT :uid, :sid, :kind::text, :now FROM pair
), answered AS (
  INSERT INTO likes_in (sid, uid, is_super, is_answered, liked_at)
  SELECT :uid, :sid, 0::int2, 1::int2, :now FROM pair WHERE pair.mask & :other_like::int2 <> 0
  ON CONFLICT (sid, uid) DO UPDATE SET is_answered = 1
)"""  # noqa: S608
AND_QUOTA = """AND (:limit::int8 IS NULL
    OR coalesce((SELECT used FROM quotas WHERE uid = :uid AND kind = :quota AND day >= :today), 0) < :limit)"""
LIKE_PARTS = f""", quota AS (
  INSERT INTO quotas (uid, kind, day, used) SELECT :uid, :quota::text, :today::date, 1 FROM pair
  {COUNT_AGAIN} RETURNING used
), liked AS (
  INSERT INTO likes_in (sid, uid, is_super, is_answered, liked_at)
  SELECT :sid, :uid, :is_super::int2, (pair.mask & :other_swipe::int2 <> 0)::int::int2, :now FROM pair
  ON CONFLICT (sid, uid) DO NOTHING
), friend AS (
  INSERT INTO friends (uid1, uid2, matched_at) SELECT :uid1, :uid2, :now FROM pair WHERE pair.mask = {MATCHED}
  ON CONFLICT (uid1, uid2) DO NOTHING
) SELECT pair.mask, quota.used / (quota.used <= :limit)::int FROM pair, quota"""  # noqa: S608
LIKE_SINGLE_NODE = Statement(PAIR.format(and_quota=AND_QUOTA) + LIKE_PARTS, int, int)
DISLIKE_SINGLE_NODE = Statement(PAIR.format(and_quota="") + " SELECT mask FROM pair", int)  # noqa: S608
# The SQLSTATE of a division by zero.
QUOTA_EXCEEDED = "22012"
