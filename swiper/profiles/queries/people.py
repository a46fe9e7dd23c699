"""SQL of accounts, profiles, cards and the deck's rows."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from sqlalchemy import delete

from swiper.db.statements import Statement
from swiper.extensions import db
from swiper.profiles.models import CARD_COLUMNS, Discovery, Nickname, Preferences, User

# The columns of the two tables in an `Account`, in the order of `ACCOUNT_SELECT`.
USER_FIELDS = [column.key for column in User.__table__.columns if column.key != "created_at"]
PREFERENCE_FIELDS = [column.key for column in Preferences.__table__.columns if column.key != "uid"]


def _kinds(model: Any, names: Iterable[str]) -> list[type[Any]]:
    """The Python types of some columns of a table."""
    return [model.__table__.columns[name].type.python_type for name in names]


def _select(*columns: str) -> str:
    """A SELECT of `columns` of people, followed by level and end of their membership."""
    return f"""SELECT {", ".join(columns)}, coalesce(memberships.level, 0), memberships.expires_at
      FROM users JOIN preferences ON preferences.uid = users.id LEFT JOIN memberships ON memberships.uid = users.id"""  # noqa: S608


ACCOUNT_SELECT = _select(*[f"users.{name}" for name in USER_FIELDS], *PREFERENCE_FIELDS)
ACCOUNT_COLUMNS = (*_kinds(User, USER_FIELDS), *_kinds(Preferences, PREFERENCE_FIELDS), int, datetime)
ACCOUNT = Statement(f"{ACCOUNT_SELECT} WHERE users.id = :uid", *ACCOUNT_COLUMNS)
# `CARD_COLUMNS`, the birthday, whether only friends see the album, and level and end of the membership.
CARDS = Statement(
    _select(*[f"users.{name}" for name in CARD_COLUMNS], "birthday", "only_match")
    + " WHERE users.id IN :uids AND status = 'active'",
    *(*_kinds(User, CARD_COLUMNS), date, bool, int, datetime),
)
ALBUMS = Statement("SELECT uid, id, url FROM uploads WHERE uid IN :uids AND kind = 'photo' ORDER BY id", int, int, str)


def find_user(uid: int) -> User | None:
    """The user's row, as this session has read it before or as it is stored."""
    return db.session.get(User, uid)


def lock_user(uid: int) -> User | None:
    """The user's row as it is stored now, locked until the transaction ends; None when the account is gone.

    Each change of a profile, a status or a picture begins with this lock, so changes of one user run one by one.
    """
    return db.session.get(User, uid, with_for_update=True, populate_existing=True)


def get_preferences(uid: int) -> Preferences:
    """The preferences as they are stored now, of a user whose row the caller has locked."""
    return db.session.get_one(Preferences, uid, populate_existing=True)


def insert_account(uid: int, phone: str, nickname: str) -> User:
    """Insert user, preferences and nickname of a new account. `nickname` must equal its folded form."""
    user = User(id=uid, phone=phone, nickname=nickname)
    db.session.add(user)
    db.session.flush()
    db.session.add_all([Preferences(uid=uid), Nickname(folded=nickname, uid=uid)])
    db.session.flush()
    return user


def insert_discovery_row(row: Discovery) -> None:
    """Insert a user's row of the deck."""
    db.session.add(row)
    db.session.flush()


def delete_discovery_rows(uid: int, *locations: str | None) -> None:
    """Delete a user's row of the deck in those of `locations` that are given.

    Writes what the session has pending first, since `read` would not see it.
    """
    db.session.flush()
    if cities := {location for location in locations if location}:
        db.session.execute(delete(Discovery).where(Discovery.location.in_(sorted(cities)), Discovery.uid == uid))
