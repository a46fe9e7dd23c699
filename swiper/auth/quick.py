"""Statements of logins for PostgreSQL's short way; each does what SQLAlchemy does elsewhere."""

from swiper.fastpath.postgres_statements import Statement
from swiper.profiles.quick import ACCOUNT_COLUMNS, ACCOUNT_SELECT

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
ACCOUNT_OF_PHONE = Statement(
    f"{ACCOUNT_SELECT} JOIN phones ON phones.uid = users.id WHERE phones.phone = $1::text", *ACCOUNT_COLUMNS
)
ALBUM_OF_PHONE = Statement(
    """SELECT uploads.uid, id, url FROM uploads JOIN phones ON phones.uid = uploads.uid
    WHERE phones.phone = $1::text AND kind = 'photo' ORDER BY id""",
    *(int, int, str),
)
