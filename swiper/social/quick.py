"""The statements of most requests for PostgreSQL's short way; each does what its namesake in SQLAlchemy does elsewhere.

A swipe is one statement, sent together with its commit. Every part of it hangs on `pair`, which locks the row between
two people and is empty where the swipe is there already, somebody is missing or the quota is used up: then nothing is
done. The quota is counted next, so that all swipes lock in the same order. A count beyond the limit, which takes a like
by another request in the very same moment, ends the statement by dividing by zero, and so undoes it.

What the other one has committed while the statement waited for that lock is seen by ON CONFLICT alone, not by UPDATE,
whose snapshot is older: hence `answered` inserts a like that is always there.
"""

from swiper.quick_postgres import Statement
from swiper.social.models import MATCHED

# $1 uid, $2 sid, $3 uid1, $4 uid2, $5 the bits to set, $6 the bit of an own swipe, $7 the bit of the other's like,
# $8 this moment, $9 kind; for a like also $10 the bit of the other's swipe, $11 is_super, $12 quota, $13 today, $14 the
# quota's limit.
PAIR = """
WITH pair AS (
  INSERT INTO pairs (uid1, uid2, mask, changed_at) SELECT $3::int8, $4::int8, $5::int2, $8::timestamptz
  WHERE (SELECT count(*) FROM users WHERE id IN ($1, $2) AND status = 'active') = 2 {and_quota}
  ON CONFLICT (uid1, uid2) DO UPDATE SET mask = pairs.mask | excluded.mask, changed_at = excluded.changed_at
  WHERE pairs.mask & $6::int2 = 0
  RETURNING mask
), stored AS (
  INSERT INTO swipes (uid, sid, kind, swiped_at) SELECT $1::int8, $2::int8, $9::text, $8 FROM pair
), answered AS (
  INSERT INTO likes_in (sid, uid, is_super, is_answered, liked_at)
  SELECT $1, $2, 0::int2, 1::int2, $8 FROM pair WHERE pair.mask & $7::int2 <> 0
  ON CONFLICT (sid, uid) DO UPDATE SET is_answered = 1
)"""
AND_QUOTA = """AND ($14::int8 IS NULL
    OR coalesce((SELECT used FROM quotas WHERE uid = $1 AND kind = $12 AND day = $13), 0) < $14)"""
LIKE_PARTS = """, quota AS (
  INSERT INTO quotas (uid, kind, day, used) SELECT $1, $12::text, $13::date, 1 FROM pair
  ON CONFLICT (uid, kind) DO UPDATE
    SET used = CASE WHEN quotas.day = excluded.day THEN quotas.used + 1 ELSE 1 END, day = excluded.day
  RETURNING used
), liked AS (
  INSERT INTO likes_in (sid, uid, is_super, is_answered, liked_at)
  SELECT $2, $1, $11::int2, (pair.mask & $10::int2 <> 0)::int::int2, $8 FROM pair
  ON CONFLICT (sid, uid) DO NOTHING
), friend AS (
  INSERT INTO friends (uid1, uid2, matched_at) SELECT $3, $4, $8 FROM pair WHERE pair.mask = {matched}
  ON CONFLICT (uid1, uid2) DO NOTHING
)"""
WITHIN_QUOTA = "quota.used / (quota.used <= $14)::int"
LIKE = Statement(
    PAIR.format(and_quota=AND_QUOTA)
    + LIKE_PARTS.format(matched=MATCHED)
    + f"SELECT pair.mask, {WITHIN_QUOTA} FROM pair, quota",
    int,
    int,
)
DISLIKE = Statement(PAIR.format(and_quota="") + "SELECT mask FROM pair", int)
# The SQLSTATE of a division by zero.
BEYOND_QUOTA = "22012"

# $1 uid, $2 is_super, $3 how many.
WAITING = Statement(
    """SELECT uid FROM likes_in WHERE sid = $1::int8 AND is_answered = 0 AND is_super = $2::int2
    ORDER BY liked_at, uid LIMIT $3::int8""",
    int,
)
# One look into the primary key for each. Asked as `sid = ANY($2)`, a plan made for all callers reads every swipe of the
# caller's, since most have few, and filters: 5 ms for those with 20,000.
IS_SWIPED = "(SELECT true FROM swipes WHERE swipes.uid = $1::int8 AND swipes.sid = {sid})"
# $1 uid, $2 ids, $3 city, $4 and $5 the wanted sexes, $6 the caller's own as others look for it, $7 and $8 the bounds.
FITTING = Statement(
    f"""SELECT uid FROM discovery
    WHERE location = $3::text AND uid = ANY($2::int8[]) AND uid <> $1 AND sex IN ($4::text, $5::text)
    AND dating_sex IN ($6::text, 'any') AND birthday > $7::date AND birthday <= $8::date
    AND {IS_SWIPED.format(sid="discovery.uid")} IS NULL""",
    int,
)
SWIPED = Statement(
    f"SELECT asked.sid FROM unnest($2::int8[]) AS asked (sid) WHERE {IS_SWIPED.format(sid='asked.sid')}",  # noqa: S608
    int,
)
