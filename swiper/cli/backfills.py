"""The operator's command about backfills."""

from collections.abc import Collection

import click
from flask.cli import with_appcontext

from swiper.backfills import known_backfills, services
from swiper.commands import command

# A line of progress comes about once a second.
TOLD_BATCHES = 50


@command("backfill")
@click.argument("names", nargs=-1)
@click.option("--status", "is_status", is_flag=True, help="Only tell how far each one is.")
@click.option("--again", "is_again", is_flag=True, help="Begin at the first row, also if it has finished before.")
@with_appcontext
def backfill_command(names: tuple[str, ...], is_status: bool, is_again: bool) -> None:
    """Run backfills to their end, all of them or those named; may be interrupted and run again."""
    unknown = set(names) - known_backfills().keys()
    if unknown:
        known = ", ".join(sorted(known_backfills()))
        raise click.UsageError(f"There is no backfill {', '.join(sorted(unknown))}, only {known}.")
    if is_again and (is_status or not names):
        raise click.UsageError("--again needs the names of those that are to begin again.")
    chosen = names or tuple(sorted(known_backfills()))
    if is_status:
        _tell_progress(chosen)
        return
    for name in chosen:
        if is_again:
            services.begin_again(name)
        _run(name)


def _tell_progress(names: Collection[str]) -> None:
    for progress in services.list_progress():
        if progress.name in names:
            click.echo(_told(progress))


def _run(name: str) -> None:
    for number, progress in enumerate(services.batches_of(name)):
        if progress.finished_at is not None or number % TOLD_BATCHES == 0:
            click.echo(_told(progress))


def _told(progress: services.Progress) -> str:
    if progress.finished_at is not None:
        return f"{progress.name}: finished at {progress.finished_at.isoformat()}, {progress.rows_changed} rows changed"
    left = "not begun" if progress.rows_left is None else f"about {progress.rows_left} rows left"
    return f"{progress.name}: {left}, {progress.rows_changed} rows changed"
