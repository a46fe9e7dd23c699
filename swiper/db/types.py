"""Column types that mean the same on SQLite, PostgreSQL and MariaDB."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import DateTime, Enum, String
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator

from swiper.clock import aware


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time. It is stored in UTC with microseconds, and every database returns it as an aware time."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Any) -> Any:
        """Return the type of the database. MariaDB keeps microseconds only if the type says so."""
        if dialect.name == "mysql":
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Convert an aware time for the driver. Raises ValueError for a naive time, whose zone is unknown."""
        if value is None:
            return None
        value = aware(value).astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Return an aware time in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def text_by_code_points(length: int) -> String:
    """Return the type of a text column that every database orders by code point.

    SQLite does so by itself and MariaDB by the tables' collation. PostgreSQL would order by the rules of a language.
    """
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def enum_type(kind: type[StrEnum], name: str) -> Enum:
    """Return the type of a text column for the enum's values. A CHECK with this name refuses other values."""
    return Enum(
        kind,
        native_enum=False,
        create_constraint=True,
        name=name,
        length=16,
        values_callable=lambda members: [member.value for member in members],
    )
