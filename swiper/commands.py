"""The base of the operator's commands: an error becomes one sentence on stderr, and exit code 1.

An error that is a fault of ours keeps its traceback.
"""

import functools
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import click
from alembic.util import CommandError
from flask import Flask
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError
from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError

from swiper.db.checks import lacks_tables
from swiper.errors import ApiError, ParamError
from swiper.extensions import db
from swiper.http.responses import is_outage

AWAY = "{} does not answer; try again later."
OUT_OF_RANGE = "An argument is out of range."


class Number(click.FloatRange):
    """A number within bounds. It refuses `nan`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See click.ParamType."""
        number = super().convert(value, param, ctx)
        # Nothing compares with nan, so no bound refuses it.
        if math.isnan(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


# At most a hundred years. Python has no dates after the year 9999.
HOURS = Number(min=0, max=876_000, min_open=True)


def end_after(start: datetime, hours: float) -> datetime:
    """Return the time `hours` after `start`. Raises ParamError for one that no date can express."""
    try:
        return start + timedelta(hours=hours)
    except OverflowError as error:
        raise ParamError("The end is too far ahead.") from error


class OperatorCommand(click.Command):
    """A command that reports an error as one sentence."""

    def invoke(self, ctx: click.Context) -> Any:
        """See click.Command."""
        return _tell(super().invoke)(ctx)


def command(name: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Return a decorator that does what `click.command` does, with OperatorCommand."""
    return click.command(name, cls=OperatorCommand)


def guard_group(group: click.Group) -> None:
    """Let the commands of a library's `group`, such as `flask db`, report errors in the same way."""
    for inner in group.commands.values():
        callback = inner.callback
        if callback is not None and not hasattr(callback, "tells_in_one_sentence"):
            inner.callback = _tell(callback)


def init_app(app: Flask) -> None:
    """Let the commands of Flask-Migrate report errors as ours do."""
    group = app.cli.commands["db"]
    if isinstance(group, click.Group):
        guard_group(group)


def _tell(run: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(run)
    def told(*args: Any, **kwargs: Any) -> Any:
        try:
            _check_text(click.get_current_context().params)
            return run(*args, **kwargs)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            sentence = sentence_for(error)
            if sentence is None:
                raise
            raise click.ClickException(sentence) from error

    told.tells_in_one_sentence = True  # type: ignore[attr-defined]
    return told


def _check_text(params: dict[str, Any]) -> None:
    for name, value in params.items():
        try:
            str(value).encode()
        except UnicodeEncodeError as error:
            raise click.BadParameter("this is not valid text.", param_hint=name) from error


def sentence_for(error: Exception) -> str | None:
    """Return the sentence that an operator reads, or None for a fault of ours."""
    if isinstance(error, ApiError):
        return _refusal(error)
    if isinstance(error, RedisError) and is_outage(error):
        return AWAY.format("Redis")
    if isinstance(error, SQLAlchemyError):
        return _database_sentence(error)
    if isinstance(error, BrokerError):
        return AWAY.format("The message broker")
    if isinstance(error, CommandError):
        return str(error)
    return OUT_OF_RANGE if isinstance(error, OverflowError) else None


def _refusal(error: ApiError) -> str:
    reasons = [f"{field}: {' '.join(map(str, texts))}" for field, texts in (error.errors or {}).items()]
    return " ".join([error.message, *reasons])


def _database_sentence(error: SQLAlchemyError) -> str | None:
    if isinstance(error, DataError):
        return OUT_OF_RANGE
    if isinstance(error, DBAPIError) and not error.connection_invalidated and _lacks_tables():
        return "The database is not up to date; run `flask db upgrade` first."
    return AWAY.format("The database") if is_outage(error) else None


def _lacks_tables() -> bool:
    """Return True if the database lacks migrations, and False if it does not answer."""
    try:
        db.session.rollback()
        return lacks_tables(db.engine)
    except SQLAlchemyError:
        # The caller reports the outage.
        return False
