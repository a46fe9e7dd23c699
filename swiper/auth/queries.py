"""Statements of logins and codes."""

from sqlalchemy.sql.schema import ScalarElementColumnDefault

from swiper.db.statements import Statement
from swiper.profiles.models import Preferences
from swiper.profiles.queries import ACCOUNT_COLUMNS, ACCOUNT_SELECT

# A repeat after a lost connection finds the row there.
PUT_INTO_OUTBOX = Statement(
    """INSERT INTO sms_outbox (id, phone, sealed_code, claimed_until, expires_at)
    VALUES (:id, :phone, :sealed_code, :claimed_until, :expires_at) ON CONFLICT (id) DO NOTHING"""
)
# What the model gives a new row of preferences: numbers and truth values, as SQL.
DEFAULTS = {
    column.name: str(column.default.arg).lower()
    for column in Preferences.__table__.c
    if isinstance(column.default, ScalarElementColumnDefault)
}
# For single-node PostgreSQL. Everything hangs on `claimed`, which decides whose the number is; it makes nothing for a
# number that has kept something.
CREATE = Statement(
    f"""WITH claimed AS (
      INSERT INTO phones (phone, uid) SELECT :phone::text, :uid::int8
      WHERE NOT EXISTS (SELECT 1 FROM deleted_numbers WHERE digest = :digest::text)
      ON CONFLICT (phone) DO NOTHING RETURNING uid
    ), made AS (
      INSERT INTO users (id, phone, nickname, bio, avatar, status, is_robot, created_at)
      SELECT uid, :phone, :nickname::text, '', '', 'active', false, :now::timestamptz FROM claimed
    ), wishes AS (
      INSERT INTO preferences (uid, {", ".join(DEFAULTS)}) SELECT uid, {", ".join(DEFAULTS.values())} FROM claimed
    )
    INSERT INTO nicknames (folded, uid) SELECT :nickname, uid FROM claimed"""  # noqa: S608
)
ACCOUNT_OF_PHONE = Statement(
    f"{ACCOUNT_SELECT} JOIN phones ON phones.uid = users.id WHERE phones.phone = :phone", *ACCOUNT_COLUMNS
)
ALBUM_OF_PHONE = Statement(
    """SELECT uploads.uid, id, url FROM uploads JOIN phones ON phones.uid = uploads.uid
    WHERE phones.phone = :phone AND kind = 'photo' ORDER BY id""",
    *(int, int, str),
)
