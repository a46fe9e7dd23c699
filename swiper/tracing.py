"""Traces for OpenTelemetry: spans of requests, tasks and database statements. Imported only where TRACING_URL is set.

A program calls `start` when it has made its application: gunicorn's workers after their fork. What leaves the process
is a list of what is allowed: routes, statuses, names of tasks, texts of statements without their values, request ids.
"""

from collections.abc import Callable, Sequence
from typing import Any

from celery import signals
from flask import Flask
from opentelemetry.context import attach, detach, get_current
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, Status, get_current_span

from swiper.db.tracing import REQUEST_ID, SQL, SYSTEM, trace_statements
from swiper.logs import request_id_var
from swiper.tasks.batcher import carry_by

ROUTE = "http.route"
METHODS = ("http.request.method", "http.method")
ALLOWED = {SQL, SYSTEM, ROUTE, *METHODS, REQUEST_ID, "http.response.status_code", "http.status_code", "error.type"}
ALLOWED |= {"celery.task_name", "celery.action", "celery.state", "messaging.message.id"}
EXCEPTION_TYPE = "exception.type"
# Health checks of load balancers would be most of all requests.
EXCLUDED = "/healthz$,/readyz$"
STRANGERS = ("HTTP_TRACEPARENT", "HTTP_TRACESTATE", "HTTP_BAGGAGE")


class LeanExporter(SpanExporter):
    """Exports spans without what is not allowed: addresses, paths, queries, agents, texts of errors."""

    def __init__(self, exporter: SpanExporter) -> None:
        self.exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See `SpanExporter`."""
        return self.exporter.export([_lean(span) for span in spans])

    def shutdown(self) -> None:
        """See `SpanExporter`."""
        self.exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """See `SpanExporter`."""
        return self.exporter.force_flush(timeout_millis)


def _lean(span: ReadableSpan) -> ReadableSpan:
    found = span.attributes or {}
    attributes = {name: value for name, value in found.items() if name in ALLOWED}
    for each in span.events:
        if EXCEPTION_TYPE in (each.attributes or {}):
            attributes["error.type"] = (each.attributes or {})[EXCEPTION_TYPE]
    name = span.name
    if span.kind is SpanKind.SERVER and ROUTE not in found:
        # The name would have the path, and the method may be any word.
        name = "no such route"
        for method in METHODS:
            attributes.pop(method, None)
    return ReadableSpan(
        name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


class OwnTraces:
    """WSGI middleware that takes away what a client sends of a trace: it must not decide what is traced."""

    def __init__(self, wsgi_app: Callable[..., Any]) -> None:
        self.wsgi_app = wsgi_app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """See PEP 3333."""
        for name in STRANGERS:
            environ.pop(name, None)
        return self.wsgi_app(environ, start_response)


def start(app: Flask) -> None:
    """Trace what `app` does from now on, and send it to TRACING_URL every few seconds."""
    exporter = OTLPSpanExporter(endpoint=app.config["TRACING_URL"])
    processor = BatchSpanProcessor(LeanExporter(exporter), schedule_delay_millis=2_000)
    resource = Resource({"service.name": "swiper", "service.namespace": app.config["SITE_NAME"] or "swiper"})
    # A task belongs to the trace of the request that has queued it.
    sampler = ParentBased(TraceIdRatioBased(app.config["TRACING_PERCENT"] / 100))
    provider = TracerProvider(sampler=sampler, resource=resource)
    provider.add_span_processor(processor)
    _trace_requests(app, provider)
    _trace_tasks(provider)
    with app.app_context():
        trace_statements(app, provider.get_tracer("swiper.db"))


def _trace_requests(app: Flask, provider: TracerProvider) -> None:
    FlaskInstrumentor.instrument_app(  # type: ignore[no-untyped-call]
        app, tracer_provider=provider, response_hook=_note_request_id, excluded_urls=EXCLUDED, enable_commenter=False
    )
    # The first of the hooks: one that answers by itself would leave a request without a span.
    hooks = app.before_request_funcs[None]
    hooks.insert(0, hooks.pop())
    app.wsgi_app = OwnTraces(app.wsgi_app)  # type: ignore[method-assign]


def _note_request_id(span: Span | None, _status: str, _headers: Any) -> None:
    if span is not None:
        span.set_attribute(REQUEST_ID, request_id_var.get())


def _trace_tasks(provider: TracerProvider) -> None:
    carry_by(_in_this_trace)
    CeleryInstrumentor().instrument(  # type: ignore[no-untyped-call]
        tracer_provider=provider
    )
    # Behind the receivers that take the id and begin the span.
    signals.task_prerun.connect(_note_id_of_task, weak=False)


def _in_this_trace(work: Callable[[], None]) -> Callable[[], None]:
    """Return `work` as a part of the trace of the caller: tasks that are queued together follow the first of them."""
    current = get_current()

    def run() -> None:
        token = attach(current)
        try:
            work()
        finally:
            detach(token)

    return run


def _note_id_of_task(**_: Any) -> None:
    get_current_span().set_attribute(REQUEST_ID, request_id_var.get())
