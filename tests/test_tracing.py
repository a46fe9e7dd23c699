"""Traces as a collector gets them: requests, tasks and statements of one trace, without anything of a person."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask import Flask
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import OperationalError

from config.settings import ROOT, Settings
from swiper.db.tracing import REQUEST_ID, SQL, trace_engine
from swiper.logs import request_id_var
from swiper.tracing import ALLOWED, LeanExporter
from tests.factories import People, session_id_of
from tests.fake_server import FakeServer
from tests.processes import Visitor, answers_at, celery_worker, environment_of, free_port, gunicorn

PHONE = "13800138444"
STRANGE_TRACE = "5" * 32


class Told(NamedTuple):
    """A span as it arrived."""

    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    is_bare: bool


def spans_of(collector: FakeServer) -> list[Told]:
    found = []
    for received in list(collector.requests):
        message = ExportTraceServiceRequest.FromString(received.body)
        for span in [s for r in message.resource_spans for scope in r.scope_spans for s in scope.spans]:
            attributes = {each.key: each.value.string_value or each.value.int_value for each in span.attributes}
            is_bare = not span.events and not span.status.message and not span.trace_state
            ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
            found.append(Told(span.name, *ids, attributes, is_bare))
    return found


class Recorded(NamedTuple):
    spans: list[Told]
    bodies: bytes
    request_id: str
    uid: int

    def named(self, name: str) -> Told:
        (found,) = [span for span in self.spans if span.name == name]
        return found


@pytest.fixture
def recorded(app: Flask, settings: Settings, people: People, tmp_path: Path) -> Iterator[Recorded]:
    """What a web worker and a Celery worker have sent about some requests."""
    person, port = people.add(), free_port()
    base = f"http://127.0.0.1:{port}"
    with FakeServer() as collector:
        tracing = {"TRACING_URL": f"{collector.url}/v1/traces", "TRACING_PERCENT": 100}
        env = environment_of(settings, **tracing)
        with celery_worker(env, tmp_path / "worker") as worker, gunicorn(env, port, tmp_path / "web") as web:
            web.wait_for(lambda: answers_at(base), "gunicorn does not serve")
            with Visitor(base, session_id_of(person.client)) as visitor:
                headers = {"traceparent": f"00-{STRANGE_TRACE}-{'6' * 16}-01", "User-Agent": "Elsewhere"}
                asked = visitor.get(f"/api/user/verify?phonenum={PHONE}", headers=headers)
                assert asked.status_code == 200
                assert visitor.get("/api/user/profile").status_code == 200
                assert visitor.get(f"/api/user/{person.id}").status_code == 200
                assert visitor.get(f"/no/such/{PHONE}").status_code == 404
                assert visitor.request(f"M{PHONE}", "/api/user/profile").status_code == 405
            names = {"run/auth.send_code", "GET /api/user/profile", "no such route"}
            worker.wait_for(lambda: names <= {span.name for span in spans_of(collector)}, "a span does not come")
            before = len(collector.requests)
            assert web.stop() == 0
        bodies = b"".join(received.body for received in collector.requests)
        assert len(collector.requests) >= before
        yield Recorded(spans_of(collector), bodies, asked.headers["X-Request-Id"], person.id)
    assert "Traceback" not in (tmp_path / "web").read_text() + (tmp_path / "worker").read_text()


def test_a_request_its_statements_and_its_task_are_one_trace_without_anything_of_a_person(recorded: Recorded) -> None:
    request, task = recorded.named("GET /api/user/verify"), recorded.named("run/auth.send_code")
    assert request.parent == ""
    assert request.trace == task.trace != STRANGE_TRACE
    queued = recorded.named("apply_async/auth.send_code")
    assert (queued.trace, task.parent) == (request.trace, queued.id)
    assert request.attributes[REQUEST_ID] == task.attributes[REQUEST_ID] == recorded.request_id
    # Statements of both are below them, those on the drivers' own cursors and those of SQLAlchemy.
    for whole in (request, task):
        below = [span for span in recorded.spans if span.parent == whole.id and SQL in span.attributes]
        assert below, whole.name
        assert {span.attributes[REQUEST_ID] for span in below} == {recorded.request_id}
    texts = " ".join(span.attributes.get(SQL, "") for span in recorded.spans)
    assert "sms_outbox" in texts
    assert "request_id=" not in texts
    # No other attribute leaves the process, and no value of a person is in any.
    assert {name for span in recorded.spans for name in span.attributes} <= ALLOWED
    assert all(span.is_bare for span in recorded.spans)
    for secret in (PHONE, PHONE[3:], str(recorded.uid), "Elsewhere", "127.0.0.1", STRANGE_TRACE):
        assert secret.encode() not in recorded.bodies, secret
    assert {span.name for span in recorded.spans if span.name.startswith(("GET", "M"))} == {
        *("GET /api/user/verify", "GET /api/user/profile", "GET /api/user/<id:user_id>"),
    }


# --- statements on SQLAlchemy's cursors ---


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def traced_engine(exported: InMemorySpanExporter, percent: float, sent: list[str]) -> Engine:
    """An engine whose statements are traced, in so many of a hundred cases; what it sends goes to `sent` as well."""
    provider = TracerProvider(sampler=TraceIdRatioBased(percent / 100))
    provider.add_span_processor(SimpleSpanProcessor(LeanExporter(exported)))
    engine = create_engine("sqlite://")
    trace_engine(engine, provider.get_tracer("test"))
    event.listen(engine, "connect", lambda connection, _: connection.set_trace_callback(sent.append))
    return engine


def test_a_traced_statement_carries_the_request_id_in_a_comment(exported: InMemorySpanExporter) -> None:
    sent: list[str] = []
    token = request_id_var.set("0123abcd")
    with traced_engine(exported, 100, sent).connect() as connection:
        assert connection.scalar(text("SELECT :number"), {"number": 7}) == 7
    request_id_var.reset(token)
    assert [each for each in sent if "SELECT" in each] == ["SELECT 7 /*request_id='0123abcd'*/"]
    (span,) = exported.get_finished_spans()
    assert span.attributes == {SQL: "SELECT ?", "db.system.name": "sqlite", REQUEST_ID: "0123abcd"}


def test_a_statement_that_is_not_traced_is_sent_as_it_is(exported: InMemorySpanExporter) -> None:
    sent: list[str] = []
    with traced_engine(exported, 0, sent).connect() as connection:
        connection.execute(text("SELECT 7"))
    assert "SELECT 7" in sent
    assert exported.get_finished_spans() == ()


def test_a_statement_that_fails_tells_the_type_of_its_error_alone(exported: InMemorySpanExporter) -> None:
    with traced_engine(exported, 100, []).connect() as connection, pytest.raises(OperationalError):
        connection.execute(text("SELECT * FROM secret_of_anna"))
    (span,) = exported.get_finished_spans()
    assert (span.attributes or {})["error.type"].endswith("OperationalError")  # type: ignore[union-attr]
    assert span.events == ()
    assert span.status.description is None


# --- off ---


def test_without_an_address_nothing_of_it_is_imported(app: Flask, settings: Settings) -> None:
    # redis-py imports the metrics of the SDK wherever it is installed.
    ours = ("swiper.tracing", "opentelemetry.instrumentation", "opentelemetry.exporter", "opentelemetry.sdk.trace")
    look = f"import sys, wsgi; print([name for name in sys.modules if name.startswith({ours})])"
    command = [sys.executable, "-c", look]
    env = environment_of(settings)
    told = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "[]"
