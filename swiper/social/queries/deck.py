"""SQL of the deck: who fits the caller's criteria, in which order, and the cards.

The portable statements each touch one distribution group. Those for single-node PostgreSQL (`..._SINGLE_NODE`) join
tables of several groups, so that one round trip answers what takes two or three otherwise.
"""

from datetime import date, datetime

from swiper.db.statements import NAME, Statement

# --- Who fits ---

# The condition on `discovery` that somebody fits a `DeckCriteria`, whose `values` are the parameters. People with ids
# lower than `from_id` fit only if they are among `likers`: those who have liked the caller since that id was made.
IS_NEW = "(discovery.uid >= :from_id OR discovery.uid IN :likers)"
ADMITS = f"""discovery.uid <> :uid AND dating_sex IN (:own_sex, 'any')
    AND birthday > :born_after AND birthday <= :born_until AND {IS_NEW}"""
IS_WANTED = f"sex IN (:first_sex, :second_sex) AND {ADMITS}"
FITS = f"location = :city AND {IS_WANTED}"
# The same for people of given ids, who are found by the primary key. Left alone, SQLite would read everybody of the
# city: by the index of the deck, or by the two sides of the OR. It uses no index for an expression, and the card, which
# nobody lacks, is not in one.
FITS_OF_GIVEN = FITS.replace(" AND sex IN", " AND card <> '' AND coalesce(sex, '') IN").replace(
    "discovery.uid >= :from_id", "coalesce(discovery.uid, 0) >= :from_id"
)
FITS_WIDER = NAME.sub(r":wider_\1", FITS)
# The same condition for single-node PostgreSQL: it reads the likers itself, with the parameter `since`.
FITS_SINGLE_NODE = FITS.replace(
    IS_NEW,
    """(discovery.uid >= :from_id OR EXISTS (SELECT 1 FROM likes_in
    WHERE likes_in.sid = :uid AND likes_in.uid = discovery.uid AND likes_in.liked_at >= :since))""",
)
FITTING = Statement(
    f"SELECT shuffle, uid FROM discovery WHERE discovery.uid IN :uids AND {FITS_OF_GIVEN}",  # noqa: S608
    *(int, int),
)
ANY_FITTING = Statement(f"SELECT uid FROM discovery WHERE {FITS} LIMIT 1", int)  # noqa: S608
ONLY_WIDER = Statement(f"SELECT uid FROM discovery WHERE {FITS_WIDER} AND NOT ({FITS}) LIMIT :count", int)  # noqa: S608
IN_ANOTHER_CITY = Statement(
    f"SELECT uid FROM discovery WHERE location <> :city AND {IS_WANTED} LIMIT :count",  # noqa: S608
    int,
    everywhere="The answer of an empty deck says whether another city has somebody.",
)
# The likers with ids lower than `from_id` who have liked the caller since `since`: a page of them, and those of `uids`.
OLD_LIKERS = Statement(
    """SELECT uid FROM likes_in WHERE sid = :uid AND liked_at >= :since AND uid > :after AND uid < :from_id
    ORDER BY uid LIMIT :count""",
    int,
)
LIKERS_SINCE = Statement(
    # No index for `liked_at`, as in FITS_OF_GIVEN: some people are liked by 50,000.
    "SELECT uid FROM likes_in WHERE sid = :uid AND coalesce(liked_at, :since) >= :since AND uid IN :uids",
    int,
)
# People of one sex in the order of the deck: `shuffle` from `low` to `high`, and at `low` only ids above `after`. The
# index of the deck has this order for one sex at a time, so the statement does not use FITS.
CANDIDATES = Statement(
    f"""SELECT shuffle, uid FROM discovery
    WHERE location = :city AND sex = :sex AND {ADMITS} AND shuffle >= :low AND shuffle <= :high
    AND (shuffle > :low OR uid > :after) ORDER BY shuffle, uid LIMIT :count""",  # noqa: S608
    int,
    int,
)
# PostgreSQL looks up each id in the primary key. With IN, its plan for all callers reads every swipe of the caller and
# filters, since most callers have few swipes. That takes 5 ms for a caller with 20,000.
IS_SWIPED = "(SELECT true FROM swipes WHERE swipes.uid = :uid AND swipes.sid = {sid})"
SWIPED = Statement(
    "SELECT sid FROM swipes WHERE uid = :uid AND sid IN :uids",
    int,
    array_sql=f"""SELECT asked.sid FROM unnest(:uids::int8[]) AS asked (sid)
    WHERE {IS_SWIPED.format(sid="asked.sid")}""",  # noqa: S608
)

# --- Cards and likers: portable, in three statements ---

# The likers who wait for an answer, the longest waiting first. Superlikers are part 1, others part 2.
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
# Who of `asked` fits. Only rows of `uids` have a card.
FITTING_CARDS = Statement(
    f"""SELECT discovery.uid, CASE WHEN discovery.uid IN :uids THEN card END, birthday FROM discovery
    WHERE discovery.uid IN :asked AND {FITS_OF_GIVEN}""",  # noqa: S608
    *(int, bytes, date),
)
LEVELS = Statement("SELECT uid, level FROM memberships WHERE uid IN :uids AND expires_at > :now", int, int)

# --- Cards and likers: single-node PostgreSQL, in one statement ---

LEVEL = "(SELECT level FROM memberships WHERE memberships.uid = discovery.uid AND expires_at > :now::timestamptz)"
# In the order of `uids`.
CARDS = f"""SELECT discovery.uid, card, birthday, {LEVEL} AS level, {{part}} asked.place
    FROM unnest(:uids::int8[]) WITH ORDINALITY AS asked (uid, place) JOIN discovery ON discovery.uid = asked.uid
    WHERE {FITS_SINGLE_NODE} AND {IS_SWIPED.format(sid="discovery.uid")} IS NULL ORDER BY asked.place LIMIT :count"""  # noqa: S608
CARD_COLUMNS = int, bytes, date, int
FITTING_CARDS_SINGLE_NODE = Statement(CARDS.format(part=""), *CARD_COLUMNS)
WAITING = f"""SELECT waiting.uid, NULL, NULL, NULL, {{part}}, liked_at, waiting.uid FROM (
      SELECT uid, liked_at FROM likes_in WHERE sid = :uid AND is_answered = 0 AND is_super = {{is_super}}
      ORDER BY liked_at, uid LIMIT :most
    ) AS waiting JOIN discovery ON discovery.uid = waiting.uid WHERE {FITS_SINGLE_NODE}"""  # noqa: S608
# Cards, then superlikers, then likers. One statement, since each one costs the worker as much as its rows do.
CARDS_AND_LIKERS_SINGLE_NODE = Statement(
    f"""SELECT uid, card, birthday, level FROM (
      ({CARDS.format(part="0 AS part, NULL::timestamptz AS liked_at,")})
      UNION ALL {WAITING.format(part=1, is_super=1)}
      UNION ALL {WAITING.format(part=2, is_super=0)}
    ) AS found ORDER BY part, liked_at, place""",  # noqa: S608
    *CARD_COLUMNS,
)
