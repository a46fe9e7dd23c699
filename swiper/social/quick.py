"""The statements of most requests for PostgreSQL's short way; each does what its namesake in SQLAlchemy does elsewhere.

A swipe is one statement, sent together with its commit. Every part of it hangs on `pair`, which locks the row between
two people and is empty where the swipe is there already, somebody is missing or the quota is used up: then nothing is
done. The quota is counted next, so that all swipes lock in the same order. A count beyond the limit, which takes a like
by another request in the very same moment, ends the statement by dividing by zero, and so undoes it. Only a later day
counts anew (`swiper/vip/quotas.py`).

What the other one has committed while the statement waited for that lock is seen by ON CONFLICT alone, not by UPDATE,
whose snapshot is older: hence `answered` inserts a like that is always there.
"""

from swiper.fastpath.postgres_statements import Statement
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
    OR coalesce((SELECT used FROM quotas WHERE uid = $1 AND kind = $12 AND day >= $13), 0) < $14)"""
LIKE_PARTS = """, quota AS (
  INSERT INTO quotas (uid, kind, day, used) SELECT $1, $12::text, $13::date, 1 FROM pair
  ON CONFLICT (uid, kind) DO UPDATE
    SET used = CASE WHEN quotas.day >= excluded.day THEN quotas.used + 1 ELSE 1 END,
      day = greatest(quotas.day, excluded.day)
  RETURNING used
), liked AS (
  INSERT INTO likes_in (sid, uid, is_super, is_answered, liked_at)
  SELECT $2, $1, $11::int2, (pair.mask & $10::int2 <> 0)::int::int2, $8 FROM pair
  ON CONFLICT (sid, uid) DO NOTHING
), friend AS (
  INSERT INTO friends (uid1, uid2, matched_at) SELECT $3, $4, $8 FROM pair WHERE pair.mask = {matched}
  ON CONFLICT (uid1, uid2) DO NOTHING
) SELECT pair.mask, quota.used / (quota.used <= $14)::int FROM pair, quota"""
DISLIKE_PARTS = " SELECT mask FROM pair"
LIKE = Statement(PAIR.format(and_quota=AND_QUOTA) + LIKE_PARTS.format(matched=MATCHED), int, int)
DISLIKE = Statement(PAIR.format(and_quota="") + DISLIKE_PARTS, int)
# The SQLSTATE of a division by zero.
BEYOND_QUOTA = "22012"

# $low the lowest id that is shown, $since when it was made: from then on, likers with lower ids are shown as well.
IS_NEW = """(discovery.uid >= ${low}::int8 OR EXISTS (SELECT 1 FROM likes_in
    WHERE likes_in.sid = $1 AND likes_in.uid = discovery.uid AND liked_at >= ${since}::timestamptz))"""
# $1 uid, $2 city, $3 sex, $4 the caller's own as others look for it, $5 and $6 the bounds of the birthday, $7 and $8
# those of the place, $9 behind whom to begin in the first place, $10 how many, $11 and $12 as in
# `IS_NEW`. The index of the deck holds all of it,
# in this order for one sex at a time only: hence not by `FITS`.
WALK = Statement(
    f"""SELECT shuffle, uid FROM discovery
    WHERE location = $2::text AND sex = $3::text AND uid <> $1::int8 AND dating_sex IN ($4::text, 'any')
    AND birthday > $5::date AND birthday <= $6::date AND shuffle >= $7::int8 AND shuffle < $8::int8
    AND (shuffle > $7 OR uid > $9::int8) AND {IS_NEW.format(low=11, since=12)}
    ORDER BY shuffle, uid LIMIT $10::int8""",  # noqa: S608
    int,
    int,
)
# One look into the primary key for each. Asked as `sid = ANY($2)`, a plan made for all callers reads every swipe of the
# caller's, since most have few, and filters: 5 ms for those with 20,000.
IS_SWIPED = "(SELECT true FROM swipes WHERE swipes.uid = $1::int8 AND swipes.sid = {sid})"
# $1 uid, $2 city, $3 and $4 the wanted sexes, $5 the caller's own as others look for it, $6 and $7 the bounds,
# $8 and $9 as in `IS_NEW`.
FITS = f"""location = $2::text AND discovery.uid <> $1::int8 AND sex IN ($3::text, $4::text)
    AND dating_sex IN ($5::text, 'any') AND birthday > $6::date AND birthday <= $7::date
    AND {IS_NEW.format(low=8, since=9)}"""
IS_UNSEEN = f"{IS_SWIPED.format(sid='discovery.uid')} IS NULL"
# Also $10 ids.
FITTING = Statement(f"SELECT uid FROM discovery WHERE uid = ANY($10::int8[]) AND {FITS} AND {IS_UNSEEN}", int)  # noqa: S608
# $10 today, $11 ids, $12 this moment, $13 how many; in the order of the ids.
LEVEL = "(SELECT level FROM memberships WHERE memberships.uid = discovery.uid AND expires_at > $12::timestamptz)"
# With dates it would tell the time between two midnights in the zone of the session, and some of those are missing.
AGE = "extract(year FROM age($10::date::timestamp, birthday::timestamp))::int8"
CARDS = f"""SELECT discovery.uid, card, {AGE} AS age, {LEVEL} AS level, {{part}} asked.place
    FROM unnest($11::int8[]) WITH ORDINALITY AS asked (uid, place) JOIN discovery ON discovery.uid = asked.uid
    WHERE {FITS} AND {IS_UNSEEN} ORDER BY asked.place LIMIT $13::int8"""  # noqa: S608
# A `cards.KeptCard`.
CARD_COLUMNS = int, bytes, int, int
FITTING_CARDS = Statement(CARDS.format(part=""), *CARD_COLUMNS)
# $14 how many. The longest waiting first.
WAITING = f"""SELECT waiting.uid, NULL, NULL, NULL, {{part}}, liked_at, waiting.uid FROM (
      SELECT uid, liked_at FROM likes_in WHERE sid = $1 AND is_answered = 0 AND is_super = {{is_super}}
      ORDER BY liked_at, uid LIMIT $14::int8
    ) AS waiting JOIN discovery ON discovery.uid = waiting.uid WHERE {FITS}"""  # noqa: S608
# Together, since each statement costs the worker as much again as what it asks: cards, then superlikers, then likers.
CARDS_AND_LIKERS = Statement(
    f"""SELECT uid, card, age, level FROM (
      ({CARDS.format(part="0 AS part, NULL::timestamptz AS liked_at,")})
      UNION ALL {WAITING.format(part=1, is_super=1)}
      UNION ALL {WAITING.format(part=2, is_super=0)}
    ) AS found ORDER BY part, liked_at, place""",  # noqa: S608
    *CARD_COLUMNS,
)
SWIPED = Statement(
    f"SELECT asked.sid FROM unnest($2::int8[]) AS asked (sid) WHERE {IS_SWIPED.format(sid='asked.sid')}",  # noqa: S608
    int,
)
