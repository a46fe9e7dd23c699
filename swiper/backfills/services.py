"""Runs backfills batch by batch, and tells how far they are."""

import logging
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from swiper.backfills import Backfill, known_backfills, queries
from swiper.backfills.models import BackfillRun
from swiper.clock import now
from swiper.db.transactions import transactional

log = logging.getLogger(__name__)

# Workers of the release before, which know nothing of the backfill, have ended by then.
SETTLE_SECONDS = 600
# One run of the task ends after this time; beat starts the next one.
TURN_SECONDS = 10.0
# Others take SQLite's only write lock between two batches.
PAUSE_SECONDS = 0.01


class Progress(NamedTuple):
    """How far a backfill is; `rows_left` is about right, and None before the first look at it."""

    name: str
    rows_left: int | None
    rows_changed: int
    finished_at: datetime | None


def list_progress() -> list[Progress]:
    """How far each backfill of this release is, by name."""
    runs = {run.name: run for run in queries.list_runs()}
    return [_progress(name, runs.get(name)) for name in sorted(known_backfills())]


def _progress(name: str, run: BackfillRun | None) -> Progress:
    if run is None:
        return Progress(name, None, 0, None)
    return Progress(name, run.rows_left, run.rows_changed, run.finished_at)


def due_backfills() -> list[tuple[str]]:
    """The names of those that the task works on now: each is due SETTLE_SECONDS after it was first seen."""
    runs = {run.name: run for run in queries.list_runs()}
    for name in known_backfills().keys() - runs.keys():
        try:
            note_backfill(name)
        except Exception:
            # The next turn of the task tries it again. The other backfills go on.
            log.exception("the rows of the backfill %s cannot be counted", name)
    settled = now() - timedelta(seconds=SETTLE_SECONDS)
    return [
        (name,)
        for name, run in runs.items()
        if name in known_backfills() and run.finished_at is None and run.added_at <= settled
    ]


def work_on(name: str) -> None:
    """Run batches of a backfill for TURN_SECONDS, or until it has finished."""
    deadline = time.monotonic() + TURN_SECONDS
    for _ in batches_of(name):
        if time.monotonic() > deadline:
            return


def batches_of(name: str) -> Iterator[Progress]:
    """Run one batch of a backfill after the other until it has finished; yield how far it is after each."""
    note_backfill(name)
    backfill = known_backfills()[name]
    while True:
        progress = run_batch(backfill)
        yield progress
        if progress.finished_at is not None:
            return
        time.sleep(PAUSE_SECONDS)


@transactional
def note_backfill(name: str) -> None:
    """Store that a backfill waits to be run, unless that is stored."""
    if queries.lock_run(name) is None:
        queries.insert_run(name, known_backfills()[name].count_left(""))


@transactional
def run_batch(backfill: Backfill) -> Progress:
    """Run the next batch, and store in the same transaction how far it is. A finished backfill stays as it is.

    Another worker waits for the lock of the backfill's row, and goes on after this batch.
    """
    run = queries.lock_run(backfill.name)
    assert run is not None, "a backfill is noted before its first batch"
    if run.finished_at is None:
        batch = backfill.run_batch(run.last_key)
        # A key may be what somebody has written, so the last one does not stay.
        run.last_key = batch.last_key or ""
        run.rows_left = max(0, run.rows_left - batch.read)
        run.rows_changed += batch.changed
        if batch.last_key is None:
            run.rows_left, run.finished_at = 0, now()
    return _progress(backfill.name, run)


@transactional
def begin_again(name: str) -> None:
    """Let a backfill begin at the first row again, such as after rows were written by an older release."""
    note_backfill(name)
    run = queries.lock_run(name)
    assert run is not None, "it was noted"
    run.last_key, run.rows_left, run.finished_at = "", known_backfills()[name].count_left(""), None
