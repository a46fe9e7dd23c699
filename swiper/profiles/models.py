"""Tables of people: accounts, profiles, uploads, suspensions, and what is kept of deleted accounts.

Each primary key contains the distribution column (docs/distribution.md): the user's id, the city, or the one value that
must be unique, such as a nickname. So the tables can be distributed over several machines as they are.
"""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from swiper.clock import now
from swiper.db.types import UtcDateTime, enum_type, text_by_code_points
from swiper.extensions import TABLE_OPTIONS, Model


class Sex(StrEnum):
    """As people describe themselves."""

    MALE = "male"
    FEMALE = "female"


class DatingSex(StrEnum):
    """Whom people look for."""

    MALE = "male"
    FEMALE = "female"
    ANY = "any"


class Status(StrEnum):
    """A suspended account cannot log in and is shown to nobody."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


class CountedField(StrEnum):
    """Fields of a user whose changes are counted, by their names."""

    LOCATION = "location"
    SEX = "sex"
    BIRTHDAY = "birthday"


class UploadKind(StrEnum):
    """What an uploaded picture is for."""

    AVATAR = "avatar"
    PHOTO = "photo"


class User(Model):
    """An account with its profile."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    phone: Mapped[str] = mapped_column(String(16))
    nickname: Mapped[str] = mapped_column(String(32))
    sex: Mapped[Sex | None] = mapped_column(enum_type(Sex, "sex"))
    birthday: Mapped[date | None] = mapped_column(Date)
    location: Mapped[str | None] = mapped_column(String(64))
    bio: Mapped[str] = mapped_column(String(500), default="")
    avatar: Mapped[str] = mapped_column(String(500), default="")
    status: Mapped[Status] = mapped_column(enum_type(Status, "status"), default=Status.ACTIVE)
    is_robot: Mapped[bool] = mapped_column(default=False)
    # The deck shows only people with this id or a higher one; see `change_limits`.
    deck_from: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


# The columns of a user's row that everybody sees. Statements, stored cards, robots and the export use this list.
CARD_COLUMNS = ("id", "nickname", "sex", "location", "bio", "avatar")


class ProfileChange(Model):
    """One counted change of a field that others are matched by; the first value of a field does not count."""

    __tablename__ = "profile_changes"

    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    field: Mapped[CountedField] = mapped_column(enum_type(CountedField, "field"))
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Nickname(Model):
    """Makes nicknames unique: those that look the same have the same `folded` form."""

    __tablename__ = "nicknames"

    # A prefix is a range of the key.
    folded: Mapped[str] = mapped_column(text_by_code_points(160), primary_key=True)
    uid: Mapped[int] = mapped_column(BigInteger)


class Preferences(Model):
    """Whom a user wants to see. Null means the other sex in `dating_sex`, the own city in `dating_location`."""

    __tablename__ = "preferences"
    __table_args__ = (
        CheckConstraint("min_distance <= max_distance", name="distances_in_order"),
        CheckConstraint("min_dating_age <= max_dating_age", name="ages_in_order"),
        TABLE_OPTIONS,
    )

    uid: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    dating_sex: Mapped[DatingSex | None] = mapped_column(enum_type(DatingSex, "dating_sex"))
    dating_location: Mapped[str | None] = mapped_column(String(64))
    min_distance: Mapped[int] = mapped_column(Integer, default=1)
    max_distance: Mapped[int] = mapped_column(Integer, default=10)
    min_dating_age: Mapped[int] = mapped_column(Integer, default=18)
    max_dating_age: Mapped[int] = mapped_column(Integer, default=45)
    vibration: Mapped[bool] = mapped_column(default=True)
    only_match: Mapped[bool] = mapped_column(default=True)
    auto_play: Mapped[bool] = mapped_column(default=True)


class Discovery(Model):
    """People who can be shown in a deck. The index has the order in which decks read them: city, sex, `shuffle`.

    `card` is the stored part of the card for strangers, as JSON; `cards.refresh_discovery_row` writes it.
    """

    __tablename__ = "discovery"
    __table_args__ = (
        Index("ix_discovery_deck", "location", "sex", "shuffle", "uid", "dating_sex", "birthday"),
        Index(None, "uid"),
        TABLE_OPTIONS,
    )

    location: Mapped[str] = mapped_column(String(64), primary_key=True)
    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    sex: Mapped[Sex] = mapped_column(enum_type(Sex, "sex"))
    dating_sex: Mapped[DatingSex] = mapped_column(enum_type(DatingSex, "dating_sex"))
    birthday: Mapped[date] = mapped_column(Date)
    shuffle: Mapped[int] = mapped_column(Integer)
    card: Mapped[str] = mapped_column(Text)


class Upload(Model):
    """A picture. It is stored locally under `key` at once, and pushed to the object store later."""

    __tablename__ = "uploads"
    __table_args__ = (Index(None, "is_pushed", "created_at"), TABLE_OPTIONS)

    uid: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[UploadKind] = mapped_column(enum_type(UploadKind, "kind"))
    key: Mapped[str] = mapped_column(String(64))
    url: Mapped[str] = mapped_column(String(500))
    is_pushed: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class FileRemoval(Model):
    """A note that a stored file must be removed; a task removes the file, then this row."""

    __tablename__ = "file_removals"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class Suspension(Model):
    """Why an account is suspended, and until when. Accounts that were suspended without a reason have no row."""

    __tablename__ = "suspensions"
    __table_args__ = (Index(None, "until"), TABLE_OPTIONS)

    uid: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    reason: Mapped[str] = mapped_column(String(200))
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Operator(Model):
    """Somebody who may use the admin pages."""

    __tablename__ = "operators"

    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    granted_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class Tombstone(Model):
    """A deleted account whose rows in other tables are deleted once more, in case a swipe was running meanwhile."""

    __tablename__ = "tombstones"

    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    deleted_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class DeletedNumber(Model):
    """What is kept under the keyed digest of a deleted account's number for a while; see `deleted_numbers`."""

    __tablename__ = "deleted_numbers"
    __table_args__ = (Index(None, "deleted_at"), TABLE_OPTIONS)

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    deleted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    is_suspended: Mapped[bool]
    reason: Mapped[str] = mapped_column(String(200))
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # JSON: quotas, counted changes, `deck_from`, and digests of sex and city.
    kept: Mapped[str] = mapped_column(Text)
