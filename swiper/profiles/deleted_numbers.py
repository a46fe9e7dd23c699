"""What the number of a deleted account keeps for a while, so that to delete and come back resets nothing.

Kept are, under a keyed digest of the number: the quotas used, a suspension, the counted changes of the profile and from
which id on the deck shows people, and in a higher layer the ended matches. Sex and city, whose first values in the new
account are changes where they differ, are kept as keyed digests too. So the table names no number, and nobody's data,
without the application's key. It is written in the transaction that deletes the account, and read in the one that makes
the next account of the number.
"""

import json
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import delete, select

from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.db.upsert import upsert
from swiper.encryption import keyed_digest
from swiper.errors import NotFoundError
from swiper.extensions import db, this_app
from swiper.ids import new_id
from swiper.profiles.models import CountedField, DeletedNumber, ProfileChange, Status, Suspension, User
from swiper.signals import account_deleting, account_returning
from swiper.vip.models import Quota, QuotaKind

# What one turn of the purge deletes at most.
BATCH = 1_000
# The fields whose first value is compared to what the deleted account had.
COMPARED = (CountedField.SEX, CountedField.LOCATION)


def digest_of(phone: str) -> str:
    """What a number is kept by."""
    return keyed_digest("deleted number", phone)


def _digest_of_value(phone: str, field: CountedField, value: str) -> str:
    return keyed_digest(f"deleted {field.value}", f"{phone}:{value}")


def oldest_kept() -> datetime:
    """What was deleted before this moment is forgotten."""
    return now() - timedelta(days=this_app().config["DELETED_NUMBER_DAYS"])


def remember(user: User) -> None:
    """Keep what the user's number is not to lose, in the transaction that deletes the account."""
    digest, former = digest_of(user.phone), _find(user.phone)
    suspension = db.session.get(Suspension, user.id, populate_existing=True)
    is_suspended = user.status is Status.SUSPENDED
    row = {
        "digest": digest,
        "deleted_at": now(),
        "is_suspended": is_suspended,
        "reason": suspension.reason if suspension and is_suspended else "",
        "until": suspension.until if suspension and is_suspended else None,
        "kept": json.dumps(_state_of(user, json.loads(former.kept) if former else {})),
    }
    upsert(DeletedNumber, [row], ["digest"], lambda _, new: {name: new[name] for name in row if name != "digest"})
    account_deleting.send(None, uid=user.id, phone=user.phone, digest=digest)


def _state_of(user: User, former: dict[str, Any]) -> dict[str, Any]:
    quotas = db.session.scalars(select(Quota).where(Quota.uid == user.id))
    changes = db.session.scalars(select(ProfileChange).where(ProfileChange.uid == user.id))
    # Who could see no deck has read nothing by their sex.
    values = {
        CountedField.LOCATION: user.location,
        CountedField.SEX: user.sex if user.birthday and user.location else None,
    }
    return {
        "quotas": [[quota.kind.value, quota.day.isoformat(), quota.used] for quota in quotas],
        "changes": [[change.field.value, change.changed_at.isoformat()] for change in changes],
        "deck_from": user.deck_from,
    } | {
        field.value: _digest_of_value(user.phone, field, value) if value else former.get(field.value)
        for field, value in values.items()
    }


def _find(phone: str) -> DeletedNumber | None:
    # Locked: two who need it at the same moment take turns, and what was committed meanwhile is seen.
    found = db.session.get(DeletedNumber, digest_of(phone), with_for_update=True, populate_existing=True)
    return found if found and found.deleted_at > oldest_kept() else None


def restore(user: User) -> None:
    """Give a new account what its number has kept, in the transaction that makes the account."""
    found = _find(user.phone)
    if found is None:
        return
    kept = json.loads(found.kept)
    user.deck_from = kept["deck_from"]
    for kind, day, used in kept["quotas"]:
        db.session.add(Quota(uid=user.id, kind=QuotaKind(kind), day=date.fromisoformat(day), used=used))
    for field, moment in kept["changes"]:
        changed_at = datetime.fromisoformat(moment)
        db.session.add(ProfileChange(uid=user.id, id=new_id(), field=CountedField(field), changed_at=changed_at))
    if found.is_suspended and (found.until is None or found.until > now()):
        user.status = Status.SUSPENDED
        db.session.add(Suspension(uid=user.id, reason=found.reason, until=found.until))
    db.session.flush()
    account_returning.send(None, uid=user.id, digest=found.digest)


def differing_from_former(phone: str, first_values: dict[CountedField, str]) -> set[CountedField]:
    """Those of the first values of a new account that are others than the deleted account of the number had."""
    found = _find(phone) if first_values else None
    if found is None:
        return set()
    former = json.loads(found.kept)
    return {
        field
        for field, value in first_values.items()
        if former.get(field.value) not in (None, _digest_of_value(phone, field, value))
    }


@transactional
def lift_suspension(phone: str) -> None:
    """Forget the suspension that a deleted account's number keeps. Raises NotFoundError where it keeps none."""
    found = _find(phone)
    if found is None or not found.is_suspended:
        raise NotFoundError()
    found.is_suspended, found.reason, found.until = False, "", None


@transactional
def purge() -> int:
    """Forget the numbers whose time is over; how many, of `BATCH` at most."""
    query = select(DeletedNumber.digest).where(DeletedNumber.deleted_at < oldest_kept()).limit(BATCH)
    over = list(db.session.scalars(query.execution_options(everywhere="The purge looks for any number.")))
    if over:
        db.session.execute(delete(DeletedNumber).where(DeletedNumber.digest.in_(over)))
    return len(over)
