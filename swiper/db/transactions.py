"""Services that run in one transaction, once more after a conflict, and what follows their commit."""

import functools
import logging
import random
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError, IntegrityError

from swiper.extensions import db, this_app
from swiper.fastpath.postgres_statements import StatementRunner
from swiper.outages import is_redis_outage, is_silence

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

ATTEMPTS = 12
# A lost connection and a duplicate key either pass at once or are here to stay.
QUICK_ATTEMPTS = 3
# PostgreSQL: serialization failure, deadlock. MariaDB: deadlock, lock wait time-out, record has changed (11.6+).
RETRYABLE_STATES = {"40001", "40P01"}
RETRYABLE_NUMBERS = {1213, 1205, 1020}

_work: ContextVar[list[Callable[[], object]] | None] = ContextVar("transaction", default=None)


def transactional(service: Callable[P, R]) -> Callable[P, R]:
    """Run a service in one transaction: commit once, then what it asked for with `after_commit`.

    The whole service is run again when the database reports a conflict with another transaction, so it must be safe to
    replay. A transactional service called by another one joins its transaction.
    """

    @functools.wraps(service)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if _work.get() is not None:
            return service(*args, **kwargs)
        return again_on_conflict(service.__name__, lambda: _attempt(service, args, kwargs))

    return run


def again_on_conflict(name: str, attempt: Callable[[], tuple[R, list[Callable[[], object]]]]) -> R:
    """What `attempt` returns beside the consequences of its commit, which then follow.

    It is run again when the database reports a conflict with another transaction or the connection is lost.
    """
    for number in range(1, ATTEMPTS + 1):
        try:
            result, consequences = attempt()
        except DBAPIError as error:
            if number >= _attempts_for(error):
                raise
            log.info("%s runs again after a conflict, attempt %d", name, number)
            time.sleep(random.uniform(0.002, 0.01) * 2 ** min(number, 6))
        else:
            _run_consequences(consequences)
            return result
    raise AssertionError("unreachable: the last attempt returns or raises")


def _attempt(service: Callable[..., R], args: Any, kwargs: Any) -> tuple[R, list[Callable[[], object]]]:
    # A read that came before holds an old snapshot, and SQLite cannot turn such a transaction into a writing one.
    db.session.rollback()
    consequences: list[Callable[[], object]] = []
    token = _work.set(consequences)
    try:
        result = service(*args, **kwargs)
        db.session.commit()
        return result, consequences
    except BaseException:
        db.session.rollback()
        raise
    finally:
        _work.reset(token)


def _run_consequences(consequences: list[Callable[[], object]]) -> None:
    for consequence in consequences:
        try:
            consequence()
        except Exception as error:
            # The change stands: it is committed. What could not follow it is repaired by time-outs and beat tasks.
            is_outage = is_redis_outage(error)
            level = logging.WARNING if is_outage else logging.ERROR
            told = (
                "a consequence of a committed change waits: %s" if is_outage else "a consequence of a change failed: %s"
            )
            log.log(level, told, type(error).__name__, exc_info=not is_outage)


def is_in_transaction() -> bool:
    """True inside a transactional service, which means to write."""
    return _work.get() is not None


def after_commit(consequence: Callable[[], object]) -> None:
    """Run `consequence` once the surrounding transactional service has committed, never if it fails."""
    pending = _work.get()
    if pending is None:
        raise RuntimeError("after_commit belongs inside a transactional service")
    pending.append(consequence)


def _attempts_for(error: DBAPIError) -> int:
    """How often a service that met `error` is run in all."""
    original: Any = error.orig
    if is_silence(original):
        # The caller has waited for as long as anybody should.
        return 1
    # Two inserts of one key at the same moment: the second run finds the row.
    if isinstance(error, IntegrityError) or error.connection_invalidated:
        return QUICK_ATTEMPTS
    number = next(iter(getattr(original, "args", ())), None)
    is_conflict = getattr(original, "sqlstate", None) in RETRYABLE_STATES or number in RETRYABLE_NUMBERS
    return ATTEMPTS if is_conflict else 1


def quick_lane() -> StatementRunner | None:
    """The short way to the database for single statements, outside of transactional services; PostgreSQL's only."""
    lane: StatementRunner | None = this_app().extensions.get("quick_lane")
    return lane if _work.get() is None else None
