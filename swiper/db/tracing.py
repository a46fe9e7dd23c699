"""Spans of statements, for `swiper/tracing.py`, which alone imports this."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from flask import Flask
from opentelemetry.trace import Span, SpanKind, Tracer
from sqlalchemy import Engine, event

from swiper.db.comments import with_comment, without_comment
from swiper.db.watches import watch_statements
from swiper.extensions import db
from swiper.fastpath.postgres_statements import StatementRunner
from swiper.logs import request_id_var

REQUEST_ID = "swiper.request_id"
SQL, SYSTEM = "db.query.text", "db.system.name"
MOST_SQL = 2_000
# Where the span of a statement waits for its end, in the context that SQLAlchemy makes for it.
SPAN = "_swiper_span"


def trace_statements(app: Flask, tracer: Tracer) -> None:
    """Trace all that `app` sends to its database and replicas. Needs an app context."""
    for database in (app.extensions["database"], *(replica.database for replica in app.extensions["replicas"])):
        if database.runner is not None:
            database.runner = TracedRunner(database.runner, tracer)
    watch_statements(lambda texts, system: _statement_span(tracer, texts, system))
    for engine in db.engines.values():
        trace_engine(engine, tracer)


class TracedRunner:
    """A runner of statements on PostgreSQL, with a span around each call."""

    def __init__(self, runner: StatementRunner, tracer: Tracer) -> None:
        self.runner, self.tracer = runner, tracer
        self.close_idle = runner.close_idle

    def ask(self, *steps: Any) -> Any:
        """See `StatementRunner`."""
        with _statement_span(self.tracer, [statement.sql for statement, _ in steps], "postgresql"):
            return self.runner.ask(*steps)

    def commit(self, step: Any) -> Any:
        """See `StatementRunner`."""
        with _statement_span(self.tracer, [step[0].sql], "postgresql"):
            return self.runner.commit(step)

    def read(self, *steps: Any) -> Any:
        """See `StatementRunner`."""
        with _statement_span(self.tracer, [statement.sql for statement, _ in steps], "postgresql"):
            return self.runner.read(*steps)


@contextmanager
def _statement_span(tracer: Tracer, texts: Sequence[str], system: str) -> Iterator[None]:
    """A span of statements that run together."""
    with tracer.start_as_current_span(_name_of(texts[0]), kind=SpanKind.CLIENT) as span:
        _describe(span, "; ".join(map(without_comment, texts)), system)
        yield


def trace_engine(engine: Engine, tracer: Tracer) -> None:
    """Trace what SQLAlchemy's own cursors run; a traced statement carries the request id in a comment."""
    system = engine.dialect.name

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def begin(_c: Any, _cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> tuple[str, Any]:
        span = tracer.start_span(_name_of(statement), kind=SpanKind.CLIENT)
        if context is not None:
            setattr(context, SPAN, span)
        if not span.is_recording():
            return statement, parameters
        _describe(span, statement, system)
        return statement if many else with_comment(statement), parameters

    @event.listens_for(engine, "after_cursor_execute")
    def end(_c: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool) -> None:
        _end(context, None)

    @event.listens_for(engine, "handle_error")
    def fail(failure: Any) -> None:
        _end(failure.execution_context, failure.original_exception)


def _end(context: Any, error: BaseException | None) -> None:
    span: Span | None = getattr(context, SPAN, None)
    if span is None:
        return
    if error is not None:
        span.record_exception(error)
    span.end()


def _name_of(sql: str) -> str:
    """The first word of a statement, such as SELECT."""
    return sql.lstrip("( \n").partition(" ")[0].partition("\n")[0]


def _describe(span: Span, sql: str, system: str) -> None:
    if span.is_recording():
        sql = " ".join(without_comment(sql).split())[:MOST_SQL]
        span.set_attributes({SQL: sql, SYSTEM: system, REQUEST_ID: request_id_var.get()})
