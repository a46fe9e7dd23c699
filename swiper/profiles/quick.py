"""Statements of accounts and cards for PostgreSQL's short way; each does what SQLAlchemy does elsewhere."""

from datetime import UTC, date, datetime

from swiper.fastpath.postgres_statements import Statement
from swiper.profiles.models import DatingSex, Sex, Status


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _flag(text: str) -> bool:
    return text == "t"


# The fields of `profiles.Account` in their order, but for the photos.
ACCOUNT_SELECT = """SELECT users.id, users.phone, nickname, sex, birthday, location, bio, avatar, status, is_robot,
    deck_from, dating_sex, dating_location, min_distance, max_distance, min_dating_age, max_dating_age, vibration,
    only_match, auto_play, coalesce(memberships.level, 0), memberships.expires_at
  FROM users JOIN preferences ON preferences.uid = users.id LEFT JOIN memberships ON memberships.uid = users.id"""
ACCOUNT_COLUMNS = (
    *(int, str, str, Sex, date.fromisoformat, str, str, str, Status, _flag, int, DatingSex),
    *(str, int, int, int, int, _flag, _flag, _flag),
    *(int, _moment),
)
ACCOUNT = Statement(f"{ACCOUNT_SELECT} WHERE users.id = $1::int8", *ACCOUNT_COLUMNS)
# $1 ids. The fields of a card as in `public_cards.CardSource`, whether the album is for friends only, and the VIP
# state.
CARDS = Statement(
    """SELECT users.id, nickname, sex, birthday, location, bio, avatar, only_match, coalesce(memberships.level, 0),
      memberships.expires_at
    FROM users JOIN preferences ON preferences.uid = users.id LEFT JOIN memberships ON memberships.uid = users.id
    WHERE users.id = ANY($1::int8[]) AND status = 'active'""",
    *(int, str, Sex, date.fromisoformat, str, str, str, _flag, int, _moment),
)
ALBUMS = Statement(
    "SELECT uid, id, url FROM uploads WHERE uid = ANY($1::int8[]) AND kind = 'photo' ORDER BY id", int, int, str
)
