"""Statements of accounts and codes for PostgreSQL's short way; each does what SQLAlchemy does elsewhere."""

from datetime import UTC, date, datetime

from swiper.auth.models import DatingSex, Sex, Status
from swiper.fastpath.postgres_statements import Statement


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _flag(text: str) -> bool:
    return text == "t"


# The row's own columns in their order. A repeat after a lost connection finds it there.
PUT_INTO_OUTBOX = Statement(
    """INSERT INTO sms_outbox (id, phone, sealed_code, claimed_until, expires_at)
    VALUES ($1::int8, $2::text, $3::text, $4::timestamptz, $5::timestamptz) ON CONFLICT (id) DO NOTHING"""
)
# $1 phone, $2 uid, $3 nickname, $4 this moment, $5 the number's digest. Everything hangs on `claimed`, which decides
# whose the number is; it makes nothing for a number that has kept something.
CREATE = Statement(
    """WITH claimed AS (
      INSERT INTO phones (phone, uid) SELECT $1::text, $2::int8
      WHERE NOT EXISTS (SELECT 1 FROM deleted_numbers WHERE digest = $5::text)
      ON CONFLICT (phone) DO NOTHING RETURNING uid
    ), made AS (
      INSERT INTO users (id, phone, nickname, bio, avatar, status, is_robot, created_at)
      SELECT uid, $1, $3::text, '', '', 'active', false, $4::timestamptz FROM claimed
    ), wishes AS (
      INSERT INTO preferences (uid, min_distance, max_distance, min_dating_age, max_dating_age, vibration, only_match,
        auto_play)
      SELECT uid, 1, 10, 18, 45, true, true, true FROM claimed
    )
    INSERT INTO nicknames (folded, uid) SELECT $3, uid FROM claimed"""
)
# The fields of `profiles.Account` in their order, but for the photos.
OWN = """SELECT users.id, users.phone, nickname, sex, birthday, location, bio, avatar, status, is_robot, deck_from,
    dating_sex, dating_location, min_distance, max_distance, min_dating_age, max_dating_age, vibration, only_match,
    auto_play, coalesce(memberships.level, 0), memberships.expires_at
  FROM users JOIN preferences ON preferences.uid = users.id LEFT JOIN memberships ON memberships.uid = users.id"""
OWN_COLUMNS = (
    *(int, str, str, Sex, date.fromisoformat, str, str, str, Status, _flag, int, DatingSex),
    *(str, int, int, int, int, _flag, _flag, _flag),
    *(int, _moment),
)
ACCOUNT = Statement(f"{OWN} WHERE users.id = $1::int8", *OWN_COLUMNS)
ACCOUNT_OF_PHONE = Statement(f"{OWN} JOIN phones ON phones.uid = users.id WHERE phones.phone = $1::text", *OWN_COLUMNS)
# $1 ids. The fields of a card as in `profiles.Face`, whether the album is for friends only, and the VIP state.
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
ALBUM_OF_PHONE = Statement(
    """SELECT uploads.uid, id, url FROM uploads JOIN phones ON phones.uid = uploads.uid
    WHERE phones.phone = $1::text AND kind = 'photo' ORDER BY id""",
    *(int, int, str),
)
