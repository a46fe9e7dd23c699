"""Reads many rows in pages, as dictionaries that JSON can carry."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from sqlalchemy import RowMapping, Select, tuple_

from swiper.db.replicas import on_replica
from swiper.extensions import db

PAGE_ROWS = 500


def rows_of(query: Select[Any]) -> Iterator[list[dict[str, Any]]]:
    """Pages of at most `PAGE_ROWS` rows that a `select` of one model finds, in the order of the primary key.

    A page is read when it is asked for, and the transaction ends after each page. A replica may answer that has all
    that was committed before this call.
    """
    return _pages(query, time.monotonic())


def _pages(query: Select[Any], as_of: float) -> Iterator[list[dict[str, Any]]]:
    table = query.column_descriptions[0]["entity"].__table__
    key = list(table.primary_key.columns)
    pages = query.with_only_columns(*table.columns).order_by(*key).limit(PAGE_ROWS)
    last: list[Any] | None = None
    while True:
        page = pages if last is None else pages.where(tuple_(*key) > tuple_(*last))
        rows = on_replica(partial(_read, page), as_of)
        # The connection is free until the next page is asked for.
        db.session.rollback()
        if rows:
            yield [{column.key: _plain(row[column]) for column in table.columns} for row in rows]
        if len(rows) < PAGE_ROWS:
            return
        last = [rows[-1][column] for column in key]


def _read(page: Select[Any]) -> Sequence[RowMapping]:
    return db.session.execute(page).mappings().all()


def page_of_dicts(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The one page of rows that are dictionaries already."""
    yield [{name: _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    """Dates and times as ISO 8601 text, other values as they are."""
    convert: Callable[[], Any] | None = getattr(value, "isoformat", None)
    return convert() if convert else value
