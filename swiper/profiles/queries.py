"""Statements of accounts and cards."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from swiper.db.statements import Statement
from swiper.profiles.models import CARD_COLUMNS, Preferences, User

# What an `Account` has of the two tables, in the order of `ACCOUNT_SELECT`.
USER_FIELDS = [column.key for column in User.__table__.columns if column.key != "created_at"]
PREFERENCE_FIELDS = [column.key for column in Preferences.__table__.columns if column.key != "uid"]


def _kinds(model: Any, names: Iterable[str]) -> list[type[Any]]:
    """What columns of a table hold."""
    return [model.__table__.columns[name].type.python_type for name in names]


def _select(*columns: str) -> str:
    """Read `columns` of people, and behind them the VIP state."""
    return f"""SELECT {", ".join(columns)}, coalesce(memberships.level, 0), memberships.expires_at
      FROM users JOIN preferences ON preferences.uid = users.id LEFT JOIN memberships ON memberships.uid = users.id"""  # noqa: S608


ACCOUNT_SELECT = _select(*[f"users.{name}" for name in USER_FIELDS], *PREFERENCE_FIELDS)
ACCOUNT_COLUMNS = (*_kinds(User, USER_FIELDS), *_kinds(Preferences, PREFERENCE_FIELDS), int, datetime)
ACCOUNT = Statement(f"{ACCOUNT_SELECT} WHERE users.id = :uid", *ACCOUNT_COLUMNS)
# `CARD_COLUMNS`, the birthday, whether the album is for friends only, and the VIP state.
CARDS = Statement(
    _select(*[f"users.{name}" for name in CARD_COLUMNS], "birthday", "only_match")
    + " WHERE users.id IN :uids AND status = 'active'",
    *(*_kinds(User, CARD_COLUMNS), date, bool, int, datetime),
)
ALBUMS = Statement("SELECT uid, id, url FROM uploads WHERE uid IN :uids AND kind = 'photo' ORDER BY id", int, int, str)
