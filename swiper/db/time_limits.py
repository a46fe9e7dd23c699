"""The time limit of a database server that accepts a connection or a statement and does not answer.

psycopg has no such limit. PyMySQL has one, but it would also end the long statements of tasks.
"""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from gevent import Timeout, get_hub, getcurrent
from gevent.monkey import get_original, is_module_patched
from sqlalchemy.engine import Engine

from swiper.fastpath.watchdog import Watchdog, Watched, checks_within
from swiper.outages import NO_ANSWER

log = logging.getLogger(__name__)

R = TypeVar("R")

# PyMySQL's error number for a connection that was lost during a query.
LOST_CONNECTION = 2013


class _TimeLimit(Watched):
    """Raises `Timeout` in the greenlet inside the `with` block when the server has sent nothing for `seconds`.

    With a `connection`, an answer that has arrived but is not read yet prevents the time-out.
    """

    def __init__(self, seconds: float, connection: Any = None) -> None:
        # The first check comes one period after the start.
        self.checks_left = checks_within(seconds) - 1
        self.connection = connection
        self.timeout = Timeout()

    def __enter__(self) -> None:
        self.waiting: Any = getcurrent()
        self.watchdog = Watchdog(get_hub().loop, lambda: (self,), _TimeLimit._raise_in_waiting)
        self.watchdog.start()

    def __exit__(self, *_: object) -> None:
        self.watchdog.close()
        # The watchdog refers to this object, which could be freed by the garbage collector alone.
        del self.watchdog

    def _raise_in_waiting(self) -> None:
        if self.connection is None or not is_readable(self.connection):
            self.waiting.throw(self.timeout)


def run_limited(
    dialect: Any, seconds: float, connection: Any, what: str, work: Callable[[], R], waited: float = 0.0
) -> R:
    """Return what `work` returns; it asks the server. Raises the driver's OperationalError when no answer is in time.

    `waited` is the part of `seconds` that has passed before. The limit applies only in a gevent worker, since threads
    and commands may run long statements.
    """
    if not is_module_patched("socket"):
        return work()
    limit = _TimeLimit(seconds - waited, connection)
    try:
        with limit:
            return work()
    except Timeout as error:
        if error is not limit.timeout:
            raise
    if hasattr(connection, "closed"):
        # The server may still answer the old statement, so psycopg's connection must not be used again. PyMySQL has
        # closed its connection by itself. It allows only one call of `close`, and SQLAlchemy makes that call.
        connection.close()
    raise no_answer(dialect, seconds, what)


def no_answer(dialect: Any, seconds: float, what: str) -> Any:
    """Return the driver's OperationalError that says so, and log it. `what` is the statement or the step."""
    # The text of a statement has placeholders instead of personal data.
    log.warning("the database said nothing for %.1f s: %s", seconds, " ".join(what[:80].split()))
    return dialect.loaded_dbapi.OperationalError(LOST_CONNECTION, NO_ANSWER)


def is_readable(connection: Any) -> bool:
    """Return True if data has arrived or the server has closed the connection. Asks the kernel, not the server."""
    try:
        handle = connection.fileno()
        poller = get_original("select", "poll")()
        poller.register(handle, 1)
        return bool(poller.poll(0))
    except (OSError, ValueError, AttributeError):
        return True


def limited_beginning(engine: Engine, seconds: float) -> Callable[[], Any]:
    """Return the engine's `raw_connection` with the time limit of a statement.

    One limit covers three steps: waiting for the pool, connecting, and the first queries of SQLAlchemy and the driver
    on a new connection.
    """
    begin = engine.raw_connection

    def begin_limited() -> Any:
        return run_limited(engine.dialect, seconds, None, "connect", begin)

    return begin_limited


def limited_ending(dialect: Any, seconds: float, name: str) -> Callable[[Any], None]:
    """Return the dialect's `do_commit` or `do_rollback` with the time limit of a statement."""
    end: Callable[[Any], None] = getattr(dialect, name)

    def end_limited(connection: Any) -> None:
        # The session passes the pool's proxy. The pool passes the driver's connection.
        own = getattr(connection, "dbapi_connection", connection)
        run_limited(dialect, seconds, own, name, lambda: end(connection))

    return end_limited
