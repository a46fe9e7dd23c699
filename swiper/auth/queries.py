"""Statements about phone numbers, logins, and codes that wait to be sent."""

from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from swiper.auth.models import Phone, SmsOutbox
from swiper.db.statements import Statement
from swiper.db.upsert import insert_if_absent
from swiper.extensions import db
from swiper.profiles.models import Preferences
from swiper.profiles.queries.people import ACCOUNT_COLUMNS, ACCOUNT_SELECT

UID_OF_PHONE = Statement("SELECT uid FROM phones WHERE phone = :phone", int)
# Returns the sealed code that the row has now. A repeat after a lost connection finds its own; no two are alike.
PUT_INTO_OUTBOX = Statement(
    """INSERT INTO sms_outbox (id, phone, sealed_code, claimed_until, expires_at)
    VALUES (:id, :phone, :sealed_code, :claimed_until, :expires_at)
    ON CONFLICT (id) DO UPDATE SET sealed_code = sms_outbox.sealed_code RETURNING sealed_code""",
    str,
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


def insert_phone(phone: str, uid: int) -> None:
    """Make `phone` the number of `uid`, unless the number has an account."""
    insert_if_absent(Phone, [{"phone": phone, "uid": uid}], ["phone"])


def delete_phone(phone: str) -> None:
    """Delete a number and the codes that wait to be sent to it."""
    waiting = delete(SmsOutbox).where(SmsOutbox.phone == phone)
    db.session.execute(
        waiting.execution_options(everywhere="The outbox is distributed by the id that its task is given.")
    )
    db.session.execute(delete(Phone).where(Phone.phone == phone))


def lock_waiting_code(outbox_id: int) -> SmsOutbox | None:
    """Return the row of a waiting code, locked until the transaction ends, or None if it is gone."""
    return db.session.get(SmsOutbox, outbox_id, with_for_update=True, populate_existing=True)


def release_waiting_code(outbox_id: int, moment: datetime) -> None:
    """End the claim of a waiting code at `moment`."""
    db.session.execute(update(SmsOutbox).where(SmsOutbox.id == outbox_id).values(claimed_until=moment))


def delete_waiting_code(outbox_id: int) -> None:
    """Delete a code that waits no longer."""
    db.session.execute(delete(SmsOutbox).where(SmsOutbox.id == outbox_id))


def unclaimed_code_ids(moment: datetime, count: int) -> list[int]:
    """Return the ids of at most `count` codes that are valid at `moment` and that no worker has claimed then."""
    query = select(SmsOutbox.id).where(SmsOutbox.claimed_until <= moment, SmsOutbox.expires_at > moment)
    query = query.order_by(SmsOutbox.claimed_until).limit(count)
    return list(db.session.scalars(query.execution_options(everywhere="The sweep looks for codes of any id.")))


def delete_expired_codes(moment: datetime) -> None:
    """Delete the waiting codes that have expired at `moment`."""
    over = delete(SmsOutbox).where(SmsOutbox.expires_at <= moment)
    db.session.execute(over.execution_options(everywhere="The purge looks for codes of any id."))
