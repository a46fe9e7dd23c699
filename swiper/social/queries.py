"""Statements of the deck and of swipes. Those for single-node PostgreSQL do in one what several do elsewhere.

A swipe there is one statement, sent together with its commit. Every part of it hangs on `pair`, which locks the row
between two people and is empty where the swipe is there already, somebody is missing or the quota is used up: then
nothing is done. The quota is counted next, so that all swipes lock in the same order. A count beyond the limit, which
takes a like by another request in the very same moment, ends the statement by dividing by zero, and so undoes it. Only
a later day counts anew (`swiper/vip/queries/levels.py`).

What the other one has committed while the statement waited for that lock is seen by ON CONFLICT alone, not by UPDATE,
whose snapshot is older: hence `answered` inserts a like that is always there.
"""

from datetime import date, datetime

from swiper.db.statements import NAME, Statement
from swiper.social.models import MATCHED
from swiper.vip.queries.levels import COUNT_AGAIN

# --- Who fits ---

# Who fits a `Wish`, as a condition on `discovery`; the values are `Wish.values`. People with ids lower than `from_id`
# fit only if they are among `likers`, who like the caller since that id was made.
IS_NEW = "(discovery.uid >= :from_id OR discovery.uid IN :likers)"
ADMITS = f"""discovery.uid <> :uid AND dating_sex IN (:own_sex, 'any')
    AND birthday > :born_after AND birthday <= :born_until AND {IS_NEW}"""
IS_WANTED = f"sex IN (:first_sex, :second_sex) AND {ADMITS}"
FITS = f"location = :city AND {IS_WANTED}"
FITS_WIDER = NAME.sub(r":wider_\1", FITS)
# The same for statements that may ask another table, with the value `since`.
FITS_AT_ONCE = FITS.replace(
    IS_NEW,
    """(discovery.uid >= :from_id OR EXISTS (SELECT 1 FROM likes_in
    WHERE likes_in.sid = :uid AND likes_in.uid = discovery.uid AND likes_in.liked_at >= :since))""",
)
FITTING = Statement(
    f"SELECT shuffle, uid FROM discovery WHERE discovery.uid IN :uids AND {FITS}",  # noqa: S608
    *(int, int),
)
ANY_FITTING = Statement(f"SELECT uid FROM discovery WHERE {FITS} LIMIT 1", int)  # noqa: S608
ONLY_WIDER = Statement(f"SELECT uid FROM discovery WHERE {FITS_WIDER} AND NOT ({FITS}) LIMIT :count", int)  # noqa: S608
ELSEWHERE = Statement(
    f"SELECT uid FROM discovery WHERE location <> :city AND {IS_WANTED} LIMIT :count",  # noqa: S608
    int,
    everywhere="A deck that has come to its end tells whether another city has somebody.",
)
# People with lower ids than `from_id` who like the caller since that id was made: page by page, and among `uids`.
OLD_LIKERS = Statement(
    """SELECT uid FROM likes_in WHERE sid = :uid AND liked_at >= :since AND uid > :after AND uid < :from_id
    ORDER BY uid LIMIT :count""",
    int,
)
LIKERS_SINCE = Statement("SELECT uid FROM likes_in WHERE sid = :uid AND liked_at >= :since AND uid IN :uids", int)
# From `low` to `high`, behind `after` where somebody stands at `low`. The index of the deck holds all of it, in this
# order for one sex at a time only: hence not by `FITS`.
WALK = Statement(
    f"""SELECT shuffle, uid FROM discovery
    WHERE location = :city AND sex = :sex AND {ADMITS} AND shuffle >= :low AND shuffle <= :high
    AND (shuffle > :low OR uid > :after) ORDER BY shuffle, uid LIMIT :count""",  # noqa: S608
    int,
    int,
)
# On PostgreSQL one look into the primary key for each. With IN, a plan made for all callers reads every swipe of the
# caller's, since most have few, and filters: 5 ms for those with 20,000.
IS_SWIPED = "(SELECT true FROM swipes WHERE swipes.uid = :uid AND swipes.sid = {sid})"
SWIPED = Statement(
    "SELECT sid FROM swipes WHERE uid = :uid AND sid IN :uids",
    int,
    array_sql=f"""SELECT asked.sid FROM unnest(:uids::int8[]) AS asked (sid)
    WHERE {IS_SWIPED.format(sid="asked.sid")}""",  # noqa: S608
)

# --- Cards and likers: portable, in three steps ---

# Of the likers who wait: superlikers are part 1, the others part 2; the longest waiting first.
WAITING_LIKERS = """SELECT * FROM (
    SELECT {part} AS part, uid, liked_at FROM likes_in
    WHERE sid = :uid AND is_answered = 0 AND is_super = {is_super} ORDER BY liked_at, uid LIMIT :most
  ) AS {name}"""
# Part 0 are those of `uids` whom the caller has swiped.
SWIPED_AND_LIKERS = Statement(
    f"""SELECT 0 AS part, sid AS uid, swiped_at AS liked_at FROM swipes WHERE uid = :uid AND sid IN :uids
    UNION ALL {WAITING_LIKERS.format(part=1, is_super=1, name="superlikers")}
    UNION ALL {WAITING_LIKERS.format(part=2, is_super=0, name="likers")}""",  # noqa: S608
    *(int, int, datetime),
)
# The card is read for `uids` alone.
FITTING_CARDS = Statement(
    f"""SELECT discovery.uid, CASE WHEN discovery.uid IN :uids THEN card END, birthday FROM discovery
    WHERE (discovery.uid IN :uids OR discovery.uid IN :others) AND {FITS}""",  # noqa: S608
    *(int, bytes, date),
)
LEVELS = Statement("SELECT uid, level FROM memberships WHERE uid IN :uids AND expires_at > :now", int, int)

# --- Cards and likers: single-node PostgreSQL, in one ---

LEVEL = "(SELECT level FROM memberships WHERE memberships.uid = discovery.uid AND expires_at > :now::timestamptz)"
# In the order of `uids`.
CARDS_AT_ONCE = f"""SELECT discovery.uid, card, birthday, {LEVEL} AS level, {{part}} asked.place
    FROM unnest(:uids::int8[]) WITH ORDINALITY AS asked (uid, place) JOIN discovery ON discovery.uid = asked.uid
    WHERE {FITS_AT_ONCE} AND {IS_SWIPED.format(sid="discovery.uid")} IS NULL ORDER BY asked.place LIMIT :count"""  # noqa: S608
CARD_COLUMNS = int, bytes, date, int
FITTING_CARDS_AT_ONCE = Statement(CARDS_AT_ONCE.format(part=""), *CARD_COLUMNS)
WAITING_AT_ONCE = f"""SELECT waiting.uid, NULL, NULL, NULL, {{part}}, liked_at, waiting.uid FROM (
      SELECT uid, liked_at FROM likes_in WHERE sid = :uid AND is_answered = 0 AND is_super = {{is_super}}
      ORDER BY liked_at, uid LIMIT :most
    ) AS waiting JOIN discovery ON discovery.uid = waiting.uid WHERE {FITS_AT_ONCE}"""  # noqa: S608
# Together, since each statement costs the worker as much again as what it asks: cards, then superlikers, then likers.
CARDS_AND_LIKERS_AT_ONCE = Statement(
    f"""SELECT uid, card, birthday, level FROM (
      ({CARDS_AT_ONCE.format(part="0 AS part, NULL::timestamptz AS liked_at,")})
      UNION ALL {WAITING_AT_ONCE.format(part=1, is_super=1)}
      UNION ALL {WAITING_AT_ONCE.format(part=2, is_super=0)}
    ) AS found ORDER BY part, liked_at, place""",  # noqa: S608
    *CARD_COLUMNS,
)

# --- Swipes: portable ---

# These lock the row between two people until the transaction ends, and tell what stands there.
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
ACTIVE = Statement("SELECT id FROM users WHERE id IN :uids AND status = 'active'", int)
ADD_SWIPE = Statement("INSERT INTO swipes (uid, sid, kind, swiped_at) VALUES (:uid, :sid, :kind, :now)")
ADD_LIKE = Statement(
    """INSERT INTO likes_in (sid, uid, is_super, is_answered, liked_at)
    VALUES (:sid, :uid, :is_super, :is_answered, :now) ON CONFLICT (sid, uid) DO NOTHING"""
)
# Whether `uid` has swiped back is noted on the like of `sid` for `uid`.
MARK_ANSWERED = Statement("UPDATE likes_in SET is_answered = :is_answered WHERE sid = :uid AND uid = :sid")
BEFRIEND = Statement(
    """INSERT INTO friends (uid1, uid2, matched_at) VALUES (:uid1, :uid2, :now)
    ON CONFLICT (uid1, uid2) DO NOTHING"""
)

# --- Swipes: single-node PostgreSQL ---

# `bits` are to be set, `own_swipe` and `other_like` are the bits of these.
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
LIKE_AT_ONCE = Statement(PAIR.format(and_quota=AND_QUOTA) + LIKE_PARTS, int, int)
DISLIKE_AT_ONCE = Statement(PAIR.format(and_quota="") + " SELECT mask FROM pair", int)  # noqa: S608
# The SQLSTATE of a division by zero.
BEYOND_QUOTA = "22012"
