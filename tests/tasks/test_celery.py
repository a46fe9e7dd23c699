"""Celery: what its configuration promises, and a real worker that does the work."""

import ast
import base64
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from celery import Celery
from celery.result import AsyncResult
from flask import Flask
from flask.testing import FlaskClient
from kombu.exceptions import EncodeError
from redis import Redis

from config.schedule import BEAT_SCHEDULE
from config.settings import ROOT, Settings
from deploy.embedded_redis import answers, redis_command
from deploy.processes import wait_until
from swiper.auth import codes, tasks
from swiper.clock import now
from swiper.extensions import db
from swiper.profiles.models import Upload, UploadKind
from swiper.tasks import queue
from swiper.tasks.celery import CODES_QUEUE, HEADER, QUEUE
from tests.factories import People
from tests.fake_server import Answer, FakeServer
from tests.processes import BIN, PATIENCE_SECONDS, Program, celery_worker, environment_of

PHONE = "13912345678"


@pytest.fixture
def celery(app: Flask) -> Celery:
    made: Celery = app.extensions["celery"]
    made.set_default()
    return made


@pytest.fixture
def broker(app: Flask) -> Redis:
    client: Redis = app.extensions["redis"]
    return client


@pytest.fixture
def outbox(settings: Settings, app: Flask) -> Path:
    return settings.instance / "sms-outbox.jsonl"


@pytest.fixture
def start_worker(settings: Settings, tmp_path: Path, celery: Celery) -> Iterator[Callable[..., Program]]:
    """Starts a worker on the test's Redis and database, and waits until it is ready."""
    started: list[Program] = []

    def begin(*options: str, **changes: object) -> Program:
        worker = celery_worker(environment_of(settings, **changes), tmp_path / f"worker-{len(started)}.log", *options)
        started.append(worker)
        worker.wait_for_line(" ready.")
        return worker

    yield begin
    for worker in started:
        worker.__exit__(None, None, None)


class HangingUp:
    """A broker at the socket `path` that hangs up on everyone; `tries` counts them. A context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tries = 0
        self.listener = socket.socket(socket.AF_UNIX)

    def __enter__(self) -> Self:
        self.listener.bind(str(self.path))
        self.listener.listen()
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Wakes the thread that waits for the next one.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self.listener.accept()
            except OSError:
                return
            self.tries += 1
            caller.close()


def ask_for_code(client: FlaskClient, phone: str = PHONE) -> str:
    """Ask for a code; the request's id."""
    answer = client.post("/api/user/verify", json={"phonenum": phone})
    assert answer.status_code == 200, answer.json
    return answer.headers["X-Request-Id"]


def queued(broker: Redis) -> list[dict[str, Any]]:
    return [json.loads(message) for queue in (QUEUE, CODES_QUEUE) for message in broker.lrange(queue, 0, -1)]


def has_lines(outbox: Path, count: int) -> bool:
    return outbox.exists() and len(outbox.read_text().splitlines()) >= count


def test_code_goes_out_through_a_worker(
    client: FlaskClient, start_worker: Callable[..., Program], outbox: Path, broker: Redis
) -> None:
    worker = start_worker()
    request_id = ask_for_code(client)
    worker.wait_for(lambda: has_lines(outbox, 1), "no code went out")
    sent = json.loads(outbox.read_text())
    assert sent["phone"] == f"+86{PHONE}"
    assert client.post("/api/user/login", json={"phonenum": PHONE, "vcode": sent["code"]}).status_code == 200
    # The task's log lines carry the id of the request that caused it, and neither code nor number.
    worker.wait_for(lambda: "succeeded" in worker.output, "the task does not end")
    lines = [line for line in worker.output.splitlines() if "auth.send_code" in line and "succeeded" in line]
    assert lines
    assert all(f"[{request_id}]" in line for line in lines)
    assert PHONE not in worker.output
    assert not re.search(rf"\b{sent['code']}\b", worker.output)
    assert "SecurityWarning" not in worker.output
    assert worker.stop() == 0
    assert queued(broker) == []


def test_code_asked_for_while_no_worker_ran_goes_out_later(
    client: FlaskClient, start_worker: Callable[..., Program], outbox: Path
) -> None:
    ask_for_code(client)
    assert not outbox.exists()
    worker = start_worker()
    worker.wait_for(lambda: has_lines(outbox, 1), "no code went out")


def test_code_whose_task_was_lost_is_sent_by_beat(
    client: FlaskClient, broker: Redis, start_worker: Callable[..., Program], outbox: Path, tmp_path: Path
) -> None:
    ask_for_code(client)
    broker.delete(CODES_QUEUE)
    worker = start_worker("--beat", "--schedule", str(tmp_path / "beat"))
    worker.wait_for(lambda: has_lines(outbox, 1), "no code went out")
    assert "auth.sweep_codes" in worker.output


def test_plain_worker_serves_every_queue_with_threads(
    client: FlaskClient, celery: Celery, settings: Settings, tmp_path: Path, outbox: Path
) -> None:
    """The command of the documentation, without a single option."""
    command = (BIN / "celery", "-A", "celery_worker", "worker")
    with Program(command, environment_of(settings), tmp_path / "plain.log") as worker:
        ask_for_code(client)
        result: AsyncResult = celery.tasks["vip.serve_ticket"].apply_async(args=(1, 1))
        worker.wait_for(lambda: has_lines(outbox, 1) and result.ready(), "a queue is not served")
        assert "concurrency: 8 (thread)" in worker.output


def test_codes_do_not_wait_for_an_object_store_that_hangs(
    client: FlaskClient,
    app: Flask,
    celery: Celery,
    people: People,
    start_worker: Callable[..., Program],
    outbox: Path,
    settings: Settings,
) -> None:
    uploads = add_uploads(app, people.add().id, 12)
    push, hanging = celery.tasks["profiles.push_upload"], Answer(delay_seconds=60)
    with FakeServer(hanging) as store:
        worker = start_worker("-c", "4", **s3_at(store))
        for uid, upload_id in uploads:
            push.apply_async(args=(uid, upload_id))
        worker.wait_for(lambda: len(store.requests) >= 3, "nothing is pushed")
        began = time.monotonic()
        for number in range(5):
            ask_for_code(client, f"1391234560{number}")
        worker.wait_for(lambda: has_lines(outbox, 5), "the codes do not go out")
        # The store's time-out is 20 s.
        assert time.monotonic() - began < 10
        assert len(store.requests) == 3


def test_worker_goes_on_when_redis_was_killed_during_a_task(
    app: Flask,
    people: People,
    make_app: Callable[..., Flask],
    start_worker: Callable[..., Program],
    outbox: Path,
    tmp_path: Path,
) -> None:
    """The task can no longer be acknowledged, and the connection not even be closed in order."""
    socket, data = tmp_path / "redis.sock", tmp_path / "redis"
    redis_url, broker_url = f"unix://{socket}", f"redis+socket://{socket}?virtual_host=0"
    other = make_app(redis_url=redis_url, celery_broker_url=broker_url, celery_result_backend=broker_url)
    (upload,) = add_uploads(app, people.add().id, 1)
    command = redis_command(socket, data)
    with Program(command, {}, tmp_path / "redis-1.log") as redis, FakeServer(Answer(delay_seconds=60)) as store:
        redis.wait_for(lambda: answers(socket), "redis does not answer")
        # The asking process may find its connection broken as well, and leave the code to the sweep.
        worker = start_worker("--beat", "--schedule", str(tmp_path / "beat"), REDIS_URL=redis_url, **s3_at(store))
        other.extensions["celery"].tasks["profiles.push_upload"].apply_async(args=upload)
        worker.wait_for(lambda: store.requests, "nothing is pushed")
        # The loss shows first where the worker listens, while it waits for a task on another connection.
        worker.send(signal.SIGSTOP)
        other.extensions["redis"].client_kill_filter(_type="pubsub")
        redis.kill()
        worker.send(signal.SIGCONT)
        worker.wait_for(lambda: "Cannot connect" in worker.output, "the worker notices nothing")
    with Program(command, {}, tmp_path / "redis-2.log") as redis:
        redis.wait_for(lambda: answers(socket), "redis does not answer")
        ask_for_code(other.test_client())
        worker.wait_for(lambda: has_lines(outbox, 1), "no code went out")
        worker.stop()


def add_uploads(app: Flask, uid: int, count: int) -> list[tuple[int, int]]:
    """Pictures that are not pushed yet: `(uid, id)`."""
    with app.app_context():
        folder = app.config["MEDIA_DIR"]
        for number in range(1, count + 1):
            (folder / f"{number}.jpg").write_bytes(b"picture")
            db.session.add(
                Upload(uid=uid, id=number, kind=UploadKind.PHOTO, key=f"{number}.jpg", url="/", created_at=now())
            )
        db.session.commit()
    return [(uid, number) for number in range(1, count + 1)]


def s3_at(store: FakeServer) -> dict[str, object]:
    """The environment of a worker whose object store is `store`."""
    names = ("S3_BUCKET", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")
    return {"STORAGE": "s3", "S3_ENDPOINT_URL": store.url, "S3_BASE_URL": store.url} | dict.fromkeys(names, "pictures")


def test_turns_of_the_clock_do_not_pile_up() -> None:
    """A worker that comes back after an hour finds a few sweeps, not hundreds."""
    for name, entry in BEAT_SCHEDULE.items():
        if isinstance(entry["schedule"], float):
            assert max(entry["schedule"], 60) == entry["options"]["expires"], name


def test_codes_of_a_killed_worker_go_out_once(
    client: FlaskClient, start_worker: Callable[..., Program], outbox: Path
) -> None:
    first = start_worker()
    phones = [f"139123456{number:02d}" for number in range(12)]
    for phone in phones[:6]:
        ask_for_code(client, phone)
    first.kill()
    for phone in phones[6:]:
        ask_for_code(client, phone)
    second = start_worker()
    second.wait_for(lambda: has_lines(outbox, 6), "no code went out")
    sent = [json.loads(line)["phone"] for line in outbox.read_text().splitlines()]
    assert len(sent) == len(set(sent))


def test_queue_holds_neither_code_nor_phone(client: FlaskClient, broker: Redis, app: Flask) -> None:
    request_id = ask_for_code(client)
    (message,) = queued(broker)
    assert message["headers"]["task"] == "auth.send_code"
    assert message["headers"]["swiper_request_id"] == request_id
    assert message["content-type"] == "application/json"
    ((outbox_id,), options, _) = json.loads(base64.b64decode(message["body"]))
    assert isinstance(outbox_id, int)
    assert options == {}
    seen = json.dumps(message) + repr(outbox_id)
    assert PHONE not in seen
    assert PHONE not in message["headers"]["argsrepr"]


def test_no_task_takes_a_code_or_a_phone() -> None:
    """What a task is told passes through the broker in plain text, so the names of its arguments are looked at."""
    for path in (ROOT / "swiper").rglob("tasks.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.decorator_list:
                names = {argument.arg for argument in node.args.args}
                allowed = {"self", "uid", "target_id", "shown", "outbox_id", "outbox_ids", "upload_id", "ticket_id"}
                assert names <= allowed, (path, node.name)


def test_every_beat_entry_names_a_registered_task(celery: Celery) -> None:
    assert BEAT_SCHEDULE
    assert {entry["task"] for entry in BEAT_SCHEDULE.values()} <= set(celery.tasks)
    assert set(celery.conf.beat_schedule) == set(BEAT_SCHEDULE)


def test_a_task_is_found_in_a_package_that_nobody_imports(settings: Settings, tmp_path: Path) -> None:
    """In a process of its own: what this one knows may come of a test's import."""
    package = tmp_path / "stray"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tasks.py").write_text(
        "from celery import shared_task\n\n\n@shared_task(name='stray.tidy')\ndef tidy() -> None: ...\n"
    )
    program = f"import swiper; swiper.__path__.append({str(tmp_path)!r}); from celery_worker import celery as made"
    command = [sys.executable, "-c", f"{program}; print(*made.tasks)"]
    told = subprocess.run(command, env=environment_of(settings), cwd=ROOT, capture_output=True, text=True, check=True)
    written = {
        name
        for path in (ROOT / "swiper").glob("*/tasks.py")
        for name in re.findall(r'@shared_task\(\s*name="(.*?)"', path.read_text())
    }
    assert {name for name in told.stdout.split() if not name.startswith("celery.")} == written | {"stray.tidy"}


def test_tasks_are_named_after_their_package(celery: Celery) -> None:
    ours = [name for name in celery.tasks if not name.startswith("celery.")]
    assert len(ours) >= 10
    for name in ours:
        package, _, task = name.partition(".")
        assert (ROOT / "swiper" / package / "tasks.py").exists(), name
        assert re.fullmatch(r"[a-z_]+", task), name


def test_every_task_gives_its_name_itself() -> None:
    """A name derived from the module would change, and strand queued work, when the module moves."""
    for path in (ROOT / "swiper").rglob("tasks.py"):
        text = path.read_text()
        assert text.count("@shared_task") == len(re.findall(r'@shared_task\(\s*name="', text)), path


def test_only_json_is_sent_and_taken(celery: Celery) -> None:
    conf = celery.conf
    assert list(conf.accept_content) == ["json"]
    assert {conf.task_serializer, conf.result_serializer, conf.event_serializer} == {"json"}
    with pytest.raises((EncodeError, TypeError)):
        celery.tasks["vip.serve_ticket"].apply_async(args=(object(), 1))


def test_worker_refuses_a_pickled_task(
    celery: Celery, client: FlaskClient, start_worker: Callable[..., Program], outbox: Path, tmp_path: Path
) -> None:
    worker = start_worker()
    celery.tasks["auth.sweep_codes"].apply_async(serializer="pickle")
    worker.wait_for(lambda: "ContentDisallowed" in worker.output, "the message was not refused")
    ask_for_code(client)
    worker.wait_for(lambda: has_lines(outbox, 1), "no code went out")


def test_result_is_kept_for_an_hour(celery: Celery, broker: Redis, start_worker: Callable[..., Program]) -> None:
    start_worker()
    result: AsyncResult = celery.tasks["vip.serve_ticket"].apply_async(args=(1, 1))
    assert result.get(timeout=PATIENCE_SECONDS, interval=0.1) is None
    assert 0 < int(broker.ttl(f"celery-task-meta-{result.id}")) <= 3600
    assert celery.tasks["auth.send_code"].ignore_result


def test_results_may_lie_in_a_database(
    make_app: Callable[..., Flask], celery: Celery, start_worker: Callable[..., Program], tmp_path: Path
) -> None:
    url = f"db+sqlite:///{tmp_path / 'results.db'}"
    other: Celery = make_app(celery_result_backend=url).extensions["celery"]
    try:
        start_worker(CELERY_RESULT_BACKEND=url)
        result: AsyncResult = other.tasks["vip.serve_ticket"].apply_async(args=(1, 1))
        wait_until(result.ready, PATIENCE_SECONDS, "the result did not arrive")
        assert result.state == "SUCCESS"
        # Such a backend forgets nothing by itself, so Celery's own beat entry does it.
        assert not other.backend.supports_autoexpire
        assert other.conf.result_expires == 3600
        other.backend.ResultSession().get_bind().dispose()
    finally:
        celery.set_default()


def test_verify_tries_a_broker_that_is_away_once_more_and_does_not_wait_for_it(
    make_app: Callable[..., Flask], celery: Celery, tmp_path: Path
) -> None:
    """The code waits in the database for the sweep; the tries of Celery's default would have pauses between them."""
    with HangingUp(tmp_path / "redis.sock") as broker:
        away = make_app(celery_broker_url=f"redis+socket://{broker.path}?virtual_host=0")
        try:
            answer = away.test_client().post("/api/user/verify", json={"phonenum": PHONE})
        finally:
            celery.set_default()
    assert answer.status_code == 200
    assert broker.tries == 2


def test_codes_that_are_asked_for_together_pass_as_one_message_and_each_goes_out_by_its_own_task(
    app: Flask, client: FlaskClient, start_worker: Callable[..., Program], outbox: Path, broker: Redis
) -> None:
    """As a gevent worker does it; here each request has queued its own, which is taken away first."""
    request_ids = [ask_for_code(client, f"1380013800{number}") for number in range(3)]
    broker.delete(CODES_QUEUE)
    with app.app_context():
        items = list(zip(codes.unsent_codes(), request_ids, strict=True))
        queue._enqueue_batch(tasks.send_code, tasks.send_codes, items)
    (message,) = queued(broker)
    assert message["headers"]["task"] == "auth.send_codes"
    worker = start_worker()
    worker.wait_for(lambda: has_lines(outbox, 3), "codes are missing")
    worker.wait_for(lambda: worker.output.count("succeeded") == 4, "the tasks do not end")
    ended = [line for line in worker.output.splitlines() if "auth.send_code[" in line and "succeeded" in line]
    assert {found for found in request_ids for line in ended if f"[{found}]" in line} == set(request_ids)


def test_a_code_that_is_asked_for_alone_is_queued_alone(app: Flask, client: FlaskClient, broker: Redis) -> None:
    request_id = ask_for_code(client)
    broker.delete(CODES_QUEUE)
    with app.app_context():
        queue._enqueue_batch(tasks.send_code, tasks.send_codes, [(7, request_id)])
    (message,) = queued(broker)
    assert message["headers"]["task"] == "auth.send_code"
    assert message["headers"][HEADER] == request_id
