"""`/metrics`: what it tells, in the words of Prometheus, and what it never tells."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import Client, TestResponse

from swiper.admin import exporter
from swiper.admin.exporter import metrics_app
from swiper.admin.metrics import store_metrics
from swiper.admin.metrics_buffer import BOUNDS_MS, NO_ROUTE, MetricsBuffer, routes_key
from swiper.clock import today
from swiper.extensions import db, redis
from swiper.tallies import HIT, MISS, count_pool_wait, tallies
from swiper.tasks.celery import CODES_QUEUE, QUEUE
from swiper.tasks.heartbeat import Part, write_heartbeat, write_queue_heartbeat
from tests.factories import People

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(app: Flask, path: str = "/metrics", **headers: str) -> TestResponse:
    return Client(metrics_app(app)).get(path, headers=headers or None)


def samples(app: Flask) -> Samples:
    """What Prometheus' own parser reads: values by name and labels."""
    answer = scrape(app)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    found: Samples = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation, family.name
        assert family.type != "unknown", family.name
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def one(found: Samples, name: str, **labels: str) -> float:
    return found[name, tuple(sorted(labels.items()))]


def label_values(found: Samples) -> dict[str, set[str]]:
    values: dict[str, set[str]] = {}
    for _, labels in found:
        for label, value in labels:
            values.setdefault(label, set()).add(value)
    return values


@pytest.fixture
def counted(app: Flask, buffer: MetricsBuffer, people: People) -> People:
    """Some people have done something, and it was sent to Redis."""
    man, woman, other = people.add(vip=3), people.woman(), people.woman()
    man.like(woman)
    woman.like(man)
    man.dislike(other)
    man.superlike(people.woman())
    man.get(f"/api/user/{woman.id}")
    man.get("/api/user/999")
    man.client.get(f"/nowhere/{man.id}?phone={man.phone}")
    man.client.open("/api/user/profile", method=f"M{man.id}")
    buffer.flush()
    return people


def test_swipes_and_matches_are_told_by_kind(app: Flask, counted: People) -> None:
    found = samples(app)
    kinds = {kind: one(found, "swiper_swipes_total", kind=kind) for kind in ("like", "superlike", "dislike")}
    assert kinds == {"like": 2, "superlike": 1, "dislike": 1}
    assert one(found, "swiper_matches_total") == 1


def test_requests_are_told_by_route_and_status(app: Flask, counted: People) -> None:
    found = samples(app)
    card = {"method": "GET", "route": "/api/user/<id:user_id>"}
    assert one(found, "swiper_http_requests_total", **card, code="200") == 1
    assert one(found, "swiper_http_requests_total", **card, code="404") == 1
    assert one(found, "swiper_http_requests_total", method="-", route=NO_ROUTE, code="404") == 1
    assert one(found, "swiper_http_requests_total", method="-", route=NO_ROUTE, code="405") == 1
    assert one(found, "swiper_http_requests_total", method="POST", route="/api/social/like", code="200") == 2


def test_times_are_a_histogram_in_seconds(app: Flask, buffer: MetricsBuffer) -> None:
    for milliseconds in (0.5, 3, 30, 9_000):
        buffer.add_response(("GET", "/api/vip/me"), milliseconds / 1000)
    buffer.flush()
    found, own = samples(app), {"method": "GET", "route": "/api/vip/me"}
    name = "swiper_http_request_duration_seconds"
    bounds = [str(bound / 1000) for bound in BOUNDS_MS]
    buckets = [one(found, f"{name}_bucket", **own, le=bound) for bound in [*bounds, "+Inf"]]
    assert buckets == [1, 1, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 4]
    assert one(found, f"{name}_count", **own) == 4
    assert one(found, f"{name}_sum", **own) == pytest.approx(9.0335)


def test_a_route_that_nobody_has_asked_for_is_told_with_zeros(app: Flask) -> None:
    found = samples(app)
    own = {"method": "POST", "route": "/api/social/rewind"}
    for code in ("200", "500", "503"):
        assert one(found, "swiper_http_requests_total", **own, code=code) == 0
    assert one(found, "swiper_http_request_duration_seconds_count", **own) == 0


def test_codes_and_messages_are_told_by_provider(
    app: Flask, buffer: MetricsBuffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert app.test_client().post("/api/user/verify", json={"phonenum": "13800138000"}).status_code == 200
    for name in ("sms_sent:aliyun", "sms_refused:aliyun", "sms_refused:aliyun", "sms_failed"):
        buffer.count(name)
    buffer.flush()
    found = samples(app)
    assert one(found, "swiper_codes_asked_total") == 1
    assert one(found, "swiper_sms_sent_total", provider="aliyun") == 1
    assert one(found, "swiper_sms_refused_total", provider="aliyun") == 2
    assert one(found, "swiper_sms_sent_total", provider="console") == 0
    assert one(found, "swiper_codes_unsent_total") == 1


def test_sign_ups_are_those_that_beat_has_stored(app: Flask, people: People) -> None:
    people.add()
    people.woman()
    assert one(samples(app), "swiper_sign_ups_total") == 0
    with app.app_context():
        store_metrics()
        db.session.remove()
    assert one(samples(app), "swiper_sign_ups_total") == 2


def test_tasks_are_told_by_name_and_state(app: Flask, buffer: MetricsBuffer) -> None:
    celery = app.extensions["celery"]
    celery.set_default()
    for _ in range(2):
        celery.tasks["bans.purge"].apply()
    celery.tasks["bans.purge"].apply(args=(1, 2, 3))
    buffer.flush()
    found = samples(app)
    assert one(found, "swiper_tasks_total", task="bans.purge", state="success") == 2
    assert one(found, "swiper_tasks_total", task="bans.purge", state="failure") == 1
    assert one(found, "swiper_task_duration_seconds_count", task="bans.purge") == 3
    assert 0 < one(found, "swiper_task_duration_seconds_sum", task="bans.purge") < 10


def test_queues_are_told_by_length_and_age(app: Flask) -> None:
    celery = app.extensions["celery"]
    celery.set_default()
    for _ in range(3):
        celery.tasks["vip.serve_ticket"].apply_async(args=(1, 1))
    found = samples(app)
    assert one(found, "swiper_queue_length", queue=QUEUE) == 3
    assert one(found, "swiper_queue_length", queue=CODES_QUEUE) == 0
    with app.app_context():
        write_queue_heartbeat(QUEUE, 1_000.0)
        write_queue_heartbeat("of another release", 0)
    # While beat is away, nobody knows how long a task waits.
    assert not [key for key in samples(app) if key[0] == "swiper_queue_age_seconds"]
    with app.app_context():
        write_heartbeat(Part.BEAT)
    found = samples(app)
    assert one(found, "swiper_queue_age_seconds", queue=QUEUE) > 1_000
    assert "of another release" not in label_values(found)["queue"]
    assert (one(found, "swiper_up", part="beat"), one(found, "swiper_up", part="worker")) == (1, 0)


def test_errors_of_the_cache_are_told_by_reason(app: Flask, buffer: MetricsBuffer) -> None:
    buffer.count("cache_errors:away", by=2)
    buffer.flush()
    found = samples(app)
    errors = {reason: one(found, "swiper_cache_errors_total", reason=reason) for reason in ("away", "refused", "fault")}
    assert errors == {"away": 2, "refused": 0, "fault": 0}


def test_processes_are_told_by_cache_pools_sweeps_and_errors(app: Flask, buffer: MetricsBuffer) -> None:
    found = samples(app)
    assert {one(found, "swiper_cache_lookups_total", result=result) for result in ("copy", "hit", "miss")} == {0}
    assert one(found, "swiper_pool_wait_seconds_count") == one(found, "swiper_pool_timeouts_total") == 0
    assert one(found, "swiper_errors_total", part="auth") == one(found, "swiper_errors_total", part="other") == 0
    tallies.update({HIT: 7, MISS: 2, "swept:sweep_codes:done": 3, "swept:sweep_codes:failed": 1, "errors:auth": 1})
    count_pool_wait(0.25, is_served=True)
    count_pool_wait(1.0, is_served=False)
    # They go along with what the buffer sends.
    buffer.add_response(("GET", "/api/vip/me"), 0.001)
    buffer.flush()
    found = samples(app)
    assert one(found, "swiper_cache_lookups_total", result="hit") == 7
    assert one(found, "swiper_cache_lookups_total", result="miss") == 2
    assert one(found, "swiper_pool_wait_seconds_count") == 2
    assert one(found, "swiper_pool_wait_seconds_sum") == 1.25
    assert one(found, "swiper_pool_timeouts_total") == 1
    assert one(found, "swiper_swept_total", sweep="sweep_codes", state="done") == 3
    assert one(found, "swiper_swept_total", sweep="sweep_codes", state="failed") == 1
    assert one(found, "swiper_errors_total", part="auth") == 1
    buffer.add_response(("GET", "/api/vip/me"), 0.001)
    buffer.flush()
    assert one(samples(app), "swiper_cache_lookups_total", result="hit") == 7


# --- what it never tells ---


def test_no_label_has_anything_of_a_person(app: Flask, counted: People) -> None:
    text = scrape(app).text
    with app.app_context():
        rows = db.session.execute(db.text("SELECT id, nickname, phone FROM users")).all()
        db.session.remove()
    assert len(rows) == 4
    for row in rows:
        for value in row:
            assert str(value) not in text
            assert str(value).removeprefix("+86") not in text


def test_labels_are_from_bounded_sets(app: Flask, counted: People) -> None:
    found = samples(app)
    values = label_values(found)
    labels = {"code", "kind", "le", "method", "part", "provider", "queue", "reason", "result", "route", "source"}
    assert set(values) == labels
    assert values["route"] <= {rule.rule for rule in app.url_map.iter_rules()} | {NO_ROUTE}
    assert values["method"] <= {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "-"}
    assert all(len(code) == 3 and code.isdigit() for code in values["code"])
    assert values["provider"] == {"console"}
    # Strangers who invent methods and paths make no series.
    for number in range(30):
        app.test_client().open(f"/invented/{number}", method=f"M{number}")
    app.extensions["metrics_buffer"].flush()
    assert set(samples(app)) - set(found) == set()


def test_the_public_application_has_no_such_page(app: Flask, client: Any) -> None:
    for path in ("/metrics", "/metrics/", "/admin/metrics"):
        assert client.get(path).status_code == 404


def test_the_server_of_metrics_has_no_other_page(app: Flask) -> None:
    for path in ("/", "/healthz", "/api/vip/levels", "/admin", "/metricsx"):
        assert scrape(app, path).status_code == 404


# --- what is away ---


def test_a_source_that_is_away_hides_nothing_else(
    app: Flask, make_app: Callable[..., Flask], capsys: pytest.CaptureFixture[str]
) -> None:
    found = samples(make_app(redis_url="unix:///nonexistent.sock", celery_broker_url=app.config["CELERY_BROKER_URL"]))
    up = {source: one(found, "swiper_source_up", source=source) for source in exporter.SOURCES}
    assert up == {"redis": 0, "database": 1, "broker": 1}
    assert one(found, "swiper_sign_ups_total") == 0
    assert not [name for name, _ in found if name.startswith("swiper_http")]
    found = samples(make_app(database_url="postgresql+psycopg://nobody@127.0.0.1:1/none"))
    assert one(found, "swiper_source_up", source="database") == 0
    assert not [name for name, _ in found if name.startswith("swiper_sign_ups")]
    found = samples(make_app(celery_broker_url="redis+socket:///nowhere/redis.sock?virtual_host=0"))
    assert one(found, "swiper_source_up", source="broker") == 0
    assert one(found, "swiper_matches_total") == 0
    log = capsys.readouterr().err
    for source in exporter.SOURCES:
        assert f"metrics lack what the {source} tells: " in log
    assert "nonexistent" not in log
    assert "nobody" not in log


def test_a_fault_fails_the_scrape(app: Flask) -> None:
    with app.app_context():
        redis.client.set(routes_key(today()), "no hash")
    with pytest.raises(Exception, match="WRONGTYPE"):
        scrape(app)


def test_a_scrape_gives_its_connection_back(app: Flask, counted: People) -> None:
    with app.app_context():
        before = db.engine.pool.checkedout()  # type: ignore[attr-defined]
        samples(app)
        assert db.engine.pool.checkedout() == before  # type: ignore[attr-defined]
