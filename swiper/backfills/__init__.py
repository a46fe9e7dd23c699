"""Backfills: rows that a release fills while it runs, in small batches, after a migration that has only made room.

`create_app` knows all of them. The task in `tasks.py` runs them, or `flask backfill` by hand. See docs/migrations.md.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from flask import Flask

from swiper.extensions import this_app


class Batch(NamedTuple):
    """What one batch has done."""

    # The key of the last row that it has looked at; None if no row follows.
    last_key: str | None
    # How many rows it has looked at, and how many of them it has changed.
    read: int
    changed: int


class Backfill(NamedTuple):
    """Work on all rows of a table, a few at a time.

    `run_batch` gets the last key of the batch before, "" at first. It runs in a transaction of its own, which may be
    run again: what it has changed already, it must leave as it is. `count_left` returns how many rows follow a key.
    """

    name: str
    run_batch: Callable[[str], Batch]
    count_left: Callable[[str], int]


def init_app(app: Flask, backfills: Sequence[Backfill]) -> None:
    """Let `app` have these backfills."""
    app.extensions["backfills"] = {each.name: each for each in backfills}


def known_backfills() -> Mapping[str, Backfill]:
    """The backfills of this release, by name."""
    found: Mapping[str, Backfill] = this_app().extensions["backfills"]
    return found
