"""SQL of likers: who likes the caller, newest first, and who of them waits for an answer.

Likers are read by the liked person (`:sid`), then checked by their own ids: each statement touches one distribution
group.
"""

from datetime import datetime

from swiper.db.statements import Statement
from swiper.social.models import ENDED

# All likers, in pages by id.
LIKERS = Statement(
    "SELECT uid, is_answered FROM likes_in WHERE sid = :sid AND uid > :after ORDER BY uid LIMIT :count", int, int
)
# Likes before `before`, and those at that moment with ids below `below`.
NEWEST_LIKES = Statement(
    """SELECT uid, liked_at, is_super FROM likes_in
    WHERE sid = :sid AND liked_at <= :before AND (liked_at < :before OR uid < :below)
    ORDER BY liked_at DESC, uid DESC LIMIT :count""",
    *(int, datetime, int),
)
# Those of `uids` whose match with `uid` was ended.
ENDED_WITH = Statement(
    f"""SELECT uid2 FROM pairs WHERE uid1 = :uid AND uid2 IN :uids AND mask & {ENDED} <> 0
    UNION ALL SELECT uid1 FROM pairs WHERE uid1 IN :uids AND uid2 = :uid AND mask & {ENDED} <> 0""",  # noqa: S608
    int,
)
WAITING_LIKERS = Statement(
    """SELECT uid FROM likes_in WHERE sid = :sid AND is_answered = 0 AND uid > :after
    ORDER BY uid LIMIT :count""",
    int,
)
OWN_SWIPES = Statement("SELECT sid, kind FROM swipes WHERE uid = :uid AND sid IN :uids", int, str)
