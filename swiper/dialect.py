"""The differences between SQLite, PostgreSQL and MariaDB, handled once: types, upserts, locks, retried transactions."""

import functools
import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import CursorResult, DateTime, Delete, Enum, Update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeDecorator

from swiper.extensions import REPLICA_KEY, db, this_app
from swiper.outages import is_redis_outage
from swiper.quick_postgres import QuickLane

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

ATTEMPTS = 12
# A lost connection and a duplicate key either pass at once or are here to stay.
QUICK_ATTEMPTS = 3
# Our own words for a database that did not answer in time.
NO_ANSWER = "no answer in time"
# PostgreSQL: serialization failure, deadlock. MariaDB: deadlock, lock wait time-out, record has changed (11.6+).
RETRYABLE_STATES = {"40001", "40P01"}
RETRYABLE_NUMBERS = {1213, 1205, 1020}
# The execution option that carries the rows of a COPY to the engine's events, which hand them to the driver.
COPIED_ROWS = "copied_rows"

_work: ContextVar[list[Callable[[], object]] | None] = ContextVar("transaction", default=None)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: stored in UTC with microseconds, comes back aware on every database."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Any) -> Any:
        """MariaDB drops microseconds unless asked to keep them."""
        if dialect.name == "mysql":
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Refuses a naive time: it could mean any moment."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime has no place in the database")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Always aware, always UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def enum_type(kind: type[StrEnum], name: str) -> Enum:
    """A text column holding the enum's values, tied to them by a named CHECK."""
    return Enum(
        kind,
        native_enum=False,
        create_constraint=True,
        name=name,
        length=16,
        values_callable=lambda members: [member.value for member in members],
    )


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def upsert(
    model: Any, rows: Sequence[dict[str, Any]], keys: Sequence[str], changes: Callable[[Any, Any], dict[str, Any]]
) -> None:
    """Insert `rows`, or where `keys` already stand, set `changes(stored, offered)`.

    `stored` gives the columns as they are, `offered` the values of the row that did not fit.
    """
    table = model.__table__
    if _dialect() == "mysql":
        offered = mysql.insert(table)
        db.session.execute(offered.on_duplicate_key_update(changes(table.c, offered.inserted)), rows)
        return
    insert = postgresql.insert if _dialect() == "postgresql" else sqlite.insert
    statement = insert(table)
    db.session.execute(
        statement.on_conflict_do_update(index_elements=list(keys), set_=changes(table.c, statement.excluded)), rows
    )


def insert_if_absent(model: Any, rows: Sequence[dict[str, Any]], keys: Sequence[str]) -> None:
    """Insert `rows`, leaving alone those whose `keys` already stand.

    Who was first is decided by reading the row afterwards, since drivers disagree about the row count.
    """
    table = model.__table__
    if _dialect() == "mysql":
        statement = mysql.insert(table)
        # An assignment to itself changes nothing; INSERT IGNORE would hide other errors as well.
        db.session.execute(statement.on_duplicate_key_update({keys[0]: table.c[keys[0]]}), rows)
        return
    insert = postgresql.insert if _dialect() == "postgresql" else sqlite.insert
    db.session.execute(insert(table).on_conflict_do_nothing(index_elements=list(keys)), rows)


def changed_a_row(statement: Delete | Update) -> bool:
    """Run `statement`; True where it matched a row. Objects that were loaded before stay as they were."""
    # The rows matched, not those changed: SQLAlchemy asks PyMySQL for found rows.
    result = db.session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(result, CursorResult)
    return bool(result.rowcount)


def bulk_insert(model: Any, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert many rows in the quickest way that the database has, in the running transaction.

    Each row has its values in the order of `columns`. The other columns get their defaults, worked out once for all
    rows. Meant for commands: a web worker gives a statement no time for so many rows.
    """
    connection = db.session.connection()
    dialect, table = connection.dialect, model.__table__
    defaults = {
        column.name: _default_of(column)
        for column in table.c
        if column.default is not None and column.name not in columns
    }
    names = [*columns, *defaults]
    values = _stored(dialect, [table.c[name] for name in names], (*defaults.values(),), rows)
    prepare = dialect.identifier_preparer
    target = f"{prepare.format_table(table)} ({', '.join(map(prepare.quote, names))})"
    if dialect.name == "postgresql":
        connection.exec_driver_sql(f"COPY {target} FROM STDIN", execution_options={COPIED_ROWS: values})
        return
    place = "?" if dialect.paramstyle == "qmark" else "%s"
    # PyMySQL makes statements of many rows out of this form. All names are the model's own.
    statement = f"INSERT INTO {target} VALUES ({', '.join([place] * len(names))})"  # noqa: S608
    if prepared := list(map(tuple, values)):
        connection.exec_driver_sql(statement, prepared)


def _default_of(column: Any) -> Any:
    return column.default.arg(None) if column.default.is_callable else column.default.arg


def _stored(
    dialect: Any, columns: Sequence[Any], constants: tuple[Any, ...], rows: Iterable[Sequence[Any]]
) -> Iterator[Sequence[Any]]:
    """Each row followed by `constants`, as the types of `columns` hand values to the driver."""
    processors = [column.type.dialect_impl(dialect).bind_processor(dialect) for column in columns]
    width = len(columns) - len(constants)
    tail = [process(value) if process else value for process, value in zip(processors[width:], constants, strict=True)]
    # Most columns need nothing done, and what is left is done for each of millions of rows.
    needed = [(place, process) for place, process in enumerate(processors[:width]) if process]
    for row in rows:
        values = [*row, *tail]
        for place, process in needed:
            values[place] = process(values[place])
        yield values


def _dialect() -> str:
    return db.session.get_bind().dialect.name


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
    if NO_ANSWER in getattr(original, "args", ()):
        # The caller has waited for as long as anybody should.
        return 1
    # Two inserts of one key at the same moment: the second run finds the row.
    if isinstance(error, IntegrityError) or error.connection_invalidated:
        return QUICK_ATTEMPTS
    number = next(iter(getattr(original, "args", ())), None)
    is_conflict = getattr(original, "sqlstate", None) in RETRYABLE_STATES or number in RETRYABLE_NUMBERS
    return ATTEMPTS if is_conflict else 1


def quick_lane() -> QuickLane | None:
    """The short way to the database for single statements, outside of transactional services; PostgreSQL's only."""
    lane: QuickLane | None = this_app().extensions.get("quick_lane")
    return lane if _work.get() is None else None


@contextmanager
def replica_reads() -> Iterator[None]:
    """Reads inside may come from a replica that lags. Never for "was I liked", never right after a write."""
    engines = [engine for key, engine in db.engines.items() if key and key.startswith("replica")]
    session: Session = db.session()
    if not engines or _work.get() is not None:
        yield
        return
    session.rollback()
    session.info[REPLICA_KEY] = engines
    try:
        yield
    finally:
        session.rollback()
        del session.info[REPLICA_KEY]
