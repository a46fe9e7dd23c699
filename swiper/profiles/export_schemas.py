"""The schema of an export: each table with its columns."""

from datetime import date
from functools import partial
from typing import Any

from apiflask import Schema
from marshmallow import fields

from swiper.http.schemas import Id
from swiper.profiles.models import CARD_COLUMNS, User

COLUMN_KINDS: dict[str, Any] = {
    "id": Id,
    "text": fields.String,
    "number": fields.Integer,
    "flag": fields.Boolean,
    # Times and days are ISO 8601 text already.
    "moment": partial(fields.String, metadata={"format": "date-time"}),
    "day": partial(fields.String, metadata={"format": "date"}),
}


def rows(name: str, **columns: str) -> fields.List[Any]:
    """The rows of one table, with a kind for each column; a kind with `?` may be null.

    All columns are listed, so that a new column is exported only after somebody has decided so.
    """
    made = {
        column: COLUMN_KINDS[kind.rstrip("?")](required=True, allow_none=kind.endswith("?"))
        for column, kind in columns.items()
    }
    return fields.List(fields.Nested(Schema.from_dict(made, name=name)), required=True)


def _kind_of(name: str) -> str:
    """The kind of a column of `users`."""
    column = User.__table__.columns[name]
    kinds = {int: "number", bool: "flag", date: "day"}
    # Other kinds, such as enums, are text.
    return kinds.get(column.type.python_type, "text") + ("?" if column.nullable else "")


class ExportOut(Schema):
    """Everything that the service stores about the caller, table by table."""

    account = rows(
        "AccountRow",
        # What everybody sees, its owner may export.
        **{name: _kind_of(name) for name in CARD_COLUMNS if name != "id"},
        **{"id": "id", "phone": "text", "birthday": "day?", "status": "text", "is_robot": "flag"},
        **{"created_at": "moment", "deck_from": "id?"},
    )
    preferences = rows(
        "PreferencesRow",
        **{"uid": "id", "dating_sex": "text?", "dating_location": "text?"},
        **{"min_distance": "number", "max_distance": "number", "min_dating_age": "number", "max_dating_age": "number"},
        **{"vibration": "flag", "only_match": "flag", "auto_play": "flag"},
    )
    profile_changes = rows("ProfileChangeRow", uid="id", id="id", field="text", changed_at="moment")
    uploads = rows(
        "UploadRow",
        **{"uid": "id", "id": "id", "kind": "text", "key": "text", "url": "text", "is_pushed": "flag"},
        created_at="moment",
    )
    operator = rows("OperatorRow", uid="id", granted_at="moment")
    membership = rows("MembershipRow", uid="id", level="number", expires_at="moment")
    paid_periods = rows("PaidPeriodRow", uid="id", id="id", starts_at="moment", ends_at="moment", paid_cents="number")
    orders = rows(
        "OrderRow",
        **{"id": "id", "uid": "id", "level": "number", "months": "number", "amount_cents": "number"},
        **{"currency": "text", "provider": "text", "state": "text", "sale_id": "id?", "payment_id": "text?"},
        **{"created_at": "moment", "paid_at": "moment?"},
    )
    tickets = rows(
        "TicketRow",
        **{"uid": "id", "id": "id", "sale_id": "id", "state": "text", "order_id": "id?", "lapses": "number"},
        queued_at="moment",
    )
    quotas = rows("QuotaRow", uid="id", kind="text", day="day", used="number")
    swipes = rows("SwipeRow", uid="id", sid="id", kind="text", swiped_at="moment")
    friends = rows("FriendRow", uid1="id", uid2="id", matched_at="moment")
    open_sessions = fields.Integer(required=True)
    sessions = rows(
        "SessionRow",
        **{"id": "text", "device": "text", "network": "text", "created_at": "moment?", "last_seen_at": "moment?"},
    )
