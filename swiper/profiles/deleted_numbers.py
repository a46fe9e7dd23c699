"""What is kept under the number of a deleted account for a while, so that a new account does not reset it.

Kept are the used quotas, a suspension, the counted changes of the profile, and the lowest id that the deck shows. A
higher layer keeps the ended matches. Sex and city are kept as keyed digests: their first values in the new account
count as changes if they are others. The row's key is a keyed digest of the number, so without the application's secret
key the table tells neither a number nor whose data it is. It is written in the transaction that deletes the account,
and read in the one that makes the next account of the number.
"""

import json
from datetime import date, datetime, timedelta
from typing import Any

from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.encryption import keyed_digests
from swiper.errors import NotFoundError
from swiper.extensions import this_app
from swiper.profiles.models import CountedField, DeletedNumber, Status, User
from swiper.profiles.queries import deleted_numbers as queries
from swiper.profiles.queries import profile_changes
from swiper.profiles.queries.suspensions import find_suspension, upsert_suspension
from swiper.signals import account_deleting, account_returning
from swiper.vip.models import QuotaKind

# The fields whose first value is compared with the value of the deleted account.
COMPARED = (CountedField.SEX, CountedField.LOCATION)


def digests_of(phone: str) -> list[str]:
    """The keys that a number's row may have: first that of SECRET_KEY, then those of SECRET_KEY_FALLBACKS."""
    return keyed_digests("deleted number", phone)


def _digests_of_value(phone: str, field: CountedField, value: str) -> list[str]:
    return keyed_digests(f"deleted {field.value}", f"{phone}:{value}")


def oldest_kept() -> datetime:
    """Rows from before this moment do not count any more and are deleted."""
    return now() - timedelta(days=this_app().config["DELETED_NUMBER_DAYS"])


def remember(user: User, deleted_at: datetime) -> None:
    """Store what the user's number keeps from `deleted_at` on, in the transaction that deletes the account."""
    digests, former = digests_of(user.phone), _find(user.phone)
    suspension = find_suspension(user.id) if user.status is Status.SUSPENDED else None
    queries.upsert_deleted_number(
        {
            "digest": digests[0],
            "deleted_at": deleted_at,
            "is_suspended": user.status is Status.SUSPENDED,
            "reason": suspension.reason if suspension else "",
            "until": suspension.until if suspension else None,
            "kept": json.dumps(_state_of(user, json.loads(former.kept) if former else {})),
        }
    )
    # The number has one row, which later rows replace.
    for digest in digests[1:]:
        queries.delete_deleted_number(digest)
    account_deleting.send(None, uid=user.id, phone=user.phone, digests=digests, deleted_at=deleted_at)


def _state_of(user: User, former: dict[str, Any]) -> dict[str, Any]:
    quotas, changes = queries.list_quotas(user.id), profile_changes.list_changes(user.id)
    # Somebody who could not see a deck has found out nothing with their sex.
    values = {
        CountedField.LOCATION: user.location,
        CountedField.SEX: user.sex if user.birthday and user.location else None,
    }
    return {
        "quotas": [[quota.kind.value, quota.day.isoformat(), quota.used] for quota in quotas],
        "changes": [[change.field.value, change.changed_at.isoformat()] for change in changes],
        "deck_from": user.deck_from,
    } | {
        field.value: _digests_of_value(user.phone, field, value)[0] if value else former.get(field.value)
        for field, value in values.items()
    }


def _find(phone: str) -> DeletedNumber | None:
    for digest in digests_of(phone):
        # Locked, so two transactions that need the row run one after the other.
        found = queries.lock_deleted_number(digest)
        if found and found.deleted_at > oldest_kept():
            return found
    return None


def restore(user: User) -> None:
    """Give a new account what its number has kept, in the transaction that makes the account."""
    found = _find(user.phone)
    if found is None:
        return
    kept = json.loads(found.kept)
    user.deck_from = kept["deck_from"]
    queries.insert_quotas(
        user.id, [(QuotaKind(kind), date.fromisoformat(day), used) for kind, day, used in kept["quotas"]]
    )
    profile_changes.insert_changes(
        user.id, [(CountedField(field), datetime.fromisoformat(moment)) for field, moment in kept["changes"]]
    )
    if found.is_suspended and (found.until is None or found.until > now()):
        user.status = Status.SUSPENDED
        upsert_suspension(user.id, found.reason, found.until)
    account_returning.send(None, uid=user.id, digest=found.digest)


def differing_from_former(phone: str, first_values: dict[CountedField, str]) -> set[CountedField]:
    """The fields whose first value in a new account is another than the number's deleted account had."""
    found = _find(phone) if first_values else None
    if found is None:
        return set()
    former = json.loads(found.kept)
    return {
        field
        for field, value in first_values.items()
        if former.get(field.value) not in (None, *_digests_of_value(phone, field, value))
    }


@transactional
def lift_suspension(phone: str) -> str:
    """Delete the suspension that is kept under a number; returns the key of its row.

    Raises NotFoundError if there is none.
    """
    found = _find(phone)
    if found is None or not found.is_suspended:
        raise NotFoundError()
    found.is_suspended, found.reason, found.until = False, "", None
    return found.digest


@transactional
def purge() -> int:
    """Delete some of the rows whose time is over; returns how many."""
    return queries.delete_deleted_numbers(oldest_kept())
