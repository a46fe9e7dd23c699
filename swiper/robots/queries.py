"""SQL of robots: which people are robots, and the insert of new ones."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from swiper.auth.models import Phone
from swiper.db.upsert import bulk_insert
from swiper.extensions import db
from swiper.profiles.models import Discovery, Nickname, Preferences, Sex, User
from swiper.social.models import Swipe, SwipeKind
from swiper.vip.models import Membership


def robots_among(uids: Collection[int]) -> set[int]:
    """Return those of `uids` who are robots."""
    return set(db.session.scalars(select(User.id).where(User.id.in_(uids), User.is_robot.is_(True))))


def kind_of_swipe(uid: int, target_id: int) -> SwipeKind | None:
    """Return the kind of a swipe, or None if there is none."""
    return db.session.scalar(select(Swipe.kind).where(Swipe.uid == uid, Swipe.sid == target_id))


def city_of(uid: int) -> str | None:
    """Return the own city of a user, or None if there is no city or no user."""
    return db.session.scalar(select(User.location).where(User.id == uid))


def people_of(city: str, sex: Sex, limit: int) -> list[int]:
    """Return the ids of up to `limit` people whom a deck of `city` can show."""
    query = select(Discovery.uid).where(Discovery.location == city, Discovery.sex == sex).limit(limit)
    return list(db.session.scalars(query))


def last_phone(first: str, last: str) -> str | None:
    """Return the highest phone of a login from `first` to `last`."""
    query = select(func.max(Phone.phone)).where(Phone.phone >= first, Phone.phone <= last)
    return db.session.scalar(query.execution_options(everywhere="The last robot's number is on any machine."))


def taken_nicknames(folded: Collection[str]) -> set[str]:
    """Return those of the folded nicknames that somebody has."""
    return set(db.session.scalars(select(Nickname.folded).where(Nickname.folded.in_(folded))))


def insert_nicknames(rows: Iterable[tuple[str, int]]) -> None:
    """Insert folded nicknames with the ids of their owners. Raises IntegrityError if somebody has one of them."""
    bulk_insert(Nickname, ("folded", "uid"), rows)


def insert_people(
    columns: tuple[str, ...],
    users: Sequence[tuple[Any, ...]],
    discovery: Iterable[tuple[Any, ...]],
    memberships: Iterable[tuple[int, int, datetime]],
) -> None:
    """Insert robots into all tables of people except `nicknames`.

    `users` has the values of `columns`, the first two of which are id and phone. `discovery` has the rows of that
    table: location, id, sex, dating sex, birthday, shuffle and card. `memberships` has id, level and end.
    """
    bulk_insert(User, (*columns, "is_robot"), ((*user, True) for user in users))
    bulk_insert(Phone, ("phone", "uid"), ((phone, uid) for uid, phone, *_ in users))
    bulk_insert(Preferences, ("uid",), ((uid,) for uid, *_ in users))
    bulk_insert(Discovery, ("location", "uid", "sex", "dating_sex", "birthday", "shuffle", "card"), discovery)
    bulk_insert(Membership, ("uid", "level", "expires_at"), memberships)
