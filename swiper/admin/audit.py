"""The log of what operators did; a line is written in the transaction of its change, so neither stands alone."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select

from swiper.admin.models import OperatorAction
from swiper.db.transactions import is_in_transaction
from swiper.extensions import db
from swiper.ids import new_id
from swiper.logs import mask
from swiper.profiles.models import User


class Action(StrEnum):
    """What an operator can do."""

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
class Line:
    """A line of the log as it is shown: phone numbers masked, the actor by the name of that time."""

    id: int
    at: datetime
    uid: int | None
    nickname: str | None
    action: str
    target: str
    before: str
    after: str


def record(actor: int | None, action: Action, target: object, before: Any = None, after: Any = None) -> None:
    """Write a line in the running transaction; without an `actor` it was the command line."""
    if not is_in_transaction():
        raise RuntimeError("a line of the log belongs into the transaction of its change")
    db.session.add(
        OperatorAction(
            id=new_id(),
            uid=actor,
            actor=_name_of(actor),
            action=action.value,
            target=str(target),
            before=_text(before),
            after=_text(after),
        )
    )
    db.session.flush()


def _name_of(actor: int | None) -> str | None:
    return None if actor is None else db.session.scalar(select(User.nickname).where(User.id == actor))


def _text(state: Any) -> str:
    return json.dumps(state, ensure_ascii=False, sort_keys=True, default=str)


def list_actions(
    limit: int,
    *,
    below: int | None = None,
    uid: int | None = None,
    action: str | None = None,
    target: str | None = None,
) -> list[Line]:
    """Lines of the log with ids lower than `below`, the latest first, of one actor, action or target."""
    query = select(OperatorAction)
    for column, value in (
        (OperatorAction.uid, uid),
        (OperatorAction.action, action),
        (OperatorAction.target, target),
    ):
        if value is not None:
            query = query.where(column == value)
    if below is not None:
        query = query.where(OperatorAction.id < below)
    rows = db.session.scalars(query.order_by(OperatorAction.id.desc()).limit(limit)).all()
    # Lines of before the name was kept are told by the name of today.
    names = _names_of({row.uid for row in rows if row.uid is not None and row.actor is None})
    return [
        Line(
            id=row.id,
            at=row.at,
            uid=row.uid,
            nickname=row.actor if row.actor is not None else names.get(row.uid),
            action=row.action,
            target=mask(row.target),
            before=mask(row.before),
            after=mask(row.after),
        )
        for row in rows
    ]


def _names_of(uids: Collection[int]) -> dict[int | None, str]:
    if not uids:
        return {}
    rows = db.session.execute(select(User.id, User.nickname).where(User.id.in_(uids)))
    return {row.id: row.nickname for row in rows}
