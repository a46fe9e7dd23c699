"""The audit log of what operators did. An entry is written in the transaction of its change: both stand or neither."""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from swiper.admin.queries import audit as queries
from swiper.db.transactions import is_in_transaction
from swiper.logs import mask


class Action(StrEnum):
    """What an operator can do, as the log stores it."""

    GRANT_ROLE = "grant_role"
    REVOKE_ROLE = "revoke_role"
    SUSPEND = "suspend"
    RESUME = "resume"
    CORRECT_PROFILE = "correct_profile"
    SHOW_PHONE = "show_phone"
    FIND_BY_PHONE = "find_by_phone"
    BAN = "ban"
    LIFT_BAN = "lift_ban"
    CHANGE_LEVEL = "change_level"
    ADD_SALE = "add_sale"
    CLOSE_SALE = "close_sale"
    OPEN_DESK = "open_desk"
    SET_SECOND_FACTOR = "set_second_factor"
    RESET_SECOND_FACTOR = "reset_second_factor"
    OPEN_PERSON = "open_person"


@dataclass(frozen=True)
class AuditEntry:
    """An entry as it is shown: phone numbers are masked, `nickname` is the operator's at that time.

    `before` and `after` are JSON. `uid` and `nickname` are None for the command line.
    """

    id: int
    at: datetime
    uid: int | None
    nickname: str | None
    action: str
    target: str
    before: str
    after: str


def record(actor: int | None, action: Action, target: object, before: Any = None, after: Any = None) -> None:
    """Write an entry in the running transaction.

    `actor` is the operator's id, None for the command line. `before` and `after` are states of `target` that JSON can
    hold. Raises RuntimeError outside of a transactional service.
    """
    if not is_in_transaction():
        raise RuntimeError("an entry of the log belongs into the transaction of its change")
    queries.add_action(actor, action.value, str(target), _as_json(before), _as_json(after))


def _as_json(state: Any) -> str:
    return json.dumps(state, ensure_ascii=False, sort_keys=True, default=str)


def list_actions(
    limit: int,
    *,
    below: int | None = None,
    uid: int | None = None,
    action: str | None = None,
    target: str | None = None,
) -> list[AuditEntry]:
    """At most `limit` entries with ids lower than `below`, the newest first.

    `uid`, `action` and `target` each limit the list to one operator, one kind of action, one target.
    """
    rows = queries.newest_actions(limit, below=below, uid=uid, action=action, target=target)
    # Entries of the first releases have no nickname; the present one is shown.
    names = queries.nicknames_of({row.uid for row in rows if row.uid is not None and row.actor is None})
    return [
        AuditEntry(
            id=row.id,
            at=row.at,
            uid=row.uid,
            nickname=row.actor if row.actor is not None or row.uid is None else names.get(row.uid),
            action=row.action,
            target=mask(row.target),
            before=mask(row.before),
            after=mask(row.after),
        )
        for row in rows
    ]
