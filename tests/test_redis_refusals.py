"""A Redis that answers but takes no writes: callers are told, no process ends, nothing is lost when it has passed."""

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from config.settings import Settings
from deploy.embedded_redis import answers, redis_command
from deploy.processes import wait_until
from tests.processes import PATIENCE_SECONDS, Program, celery_worker, environment_of

PHONES = [f"1391234560{number}" for number in range(8)]


# What each error says; redis-py leaves out the first word of those that it knows.
TEXTS = {"READONLY": "read only replica", "OOM": "used memory > 'maxmemory'", "MISCONF": "MISCONF"}


class Refusal:
    """One reason for which a Redis refuses writes, and its end."""

    def __init__(self, client: Redis, data: Path, word: str) -> None:
        self.client, self.data, self.word = client, data, word

    def begin(self) -> None:
        if self.word == "READONLY":
            self.client.replicaof("127.0.0.1", "1")
        elif self.word == "OOM":
            self.client.config_set("maxmemory", "1mb")
            self.client.config_set("maxmemory-policy", "noeviction")
        else:
            # A snapshot fails, since its folder is gone.
            shutil.rmtree(self.data)
            self.client.config_set("save", "3600 1")
            self.client.bgsave()
            wait_until(lambda: self.client.info()["rdb_last_bgsave_status"] == "err", PATIENCE_SECONDS, "it was saved")

    def end(self) -> None:
        if self.word == "READONLY":
            self.client.replicaof("NO", "ONE")
        elif self.word == "OOM":
            self.client.config_set("maxmemory", "0")
        else:
            self.client.config_set("save", "")


@pytest.fixture
def private(tmp_path: Path) -> Iterator[tuple[Redis, Path]]:
    """A Redis of our own and its folder."""
    socket, data = tmp_path / "redis.sock", tmp_path / "redis"
    with Program(redis_command(socket, data), {}, tmp_path / "redis.log") as server:
        server.wait_for(lambda: answers(socket), "redis does not answer")
        client = Redis(unix_socket_path=str(socket))
        yield client, data
        client.close()


@pytest.mark.parametrize("word", ["READONLY", "OOM", "MISCONF"])
def test_worker_and_web_survive_a_redis_that_refuses_writes(
    app: Flask,
    make_app: Callable[..., Flask],
    settings: Settings,
    private: tuple[Redis, Path],
    tmp_path: Path,
    word: str,
) -> None:
    refusal, outbox = Refusal(*private, word), settings.instance / "sms-outbox.jsonl"
    redis_url = f"unix://{tmp_path / 'redis.sock'}"
    broker_url = f"redis+socket://{tmp_path / 'redis.sock'}?virtual_host=0"
    client = make_app(redis_url=redis_url, celery_broker_url=broker_url, celery_result_backend=broker_url).test_client()
    env, beat = environment_of(settings, REDIS_URL=redis_url), ("--beat", "--schedule", str(tmp_path / "beat"))
    with celery_worker(env, tmp_path / "worker.log", *beat) as worker:
        worker.wait_for_line(" ready.")
        assert ask(client, PHONES[0]) == 0
        worker.wait_for(lambda: sent(outbox) == PHONES[:1], "no code went out")
        # Some work lies in the queue when it begins.
        stop_between_writes(worker, client)
        assert [ask(client, phone) for phone in PHONES[2:4]] == [0] * 2
        refusal.begin()
        worker.send(signal.SIGCONT)
        refused = client.post("/api/user/verify", json={"phonenum": PHONES[4]})
        assert (refused.status_code, refused.json["code"]) == (503, 1011)
        assert client.get("/healthz").status_code == 200
        # Long enough for beat, and for the worker to connect anew several times.
        worker.wait_for(lambda: TEXTS[word] in worker.output, "the worker notices nothing")
        wait_until_passed(worker, 6)
        refusal.end()
        worker.wait_for(lambda: sent(outbox) == PHONES[:4], "the codes do not go out")
        assert ask(client, PHONES[5]) == 0
        worker.wait_for(lambda: sent(outbox) == [*PHONES[:4], PHONES[5]], "the worker serves no more")
        assert worker.stop() == 0


def stop_between_writes(worker: Program, client: FlaskClient) -> None:
    """Stop the worker where it holds no lock of SQLite, under which nobody could ask for a code; and ask for one."""

    def is_stopped_well() -> bool:
        worker.send(signal.SIGSTOP)
        if ask(client, PHONES[1]) == 0:
            return True
        worker.send(signal.SIGCONT)
        return False

    wait_until(is_stopped_well, PATIENCE_SECONDS, "the worker was always writing")


def wait_until_passed(worker: Program, seconds: float) -> None:
    """Fails at once when the worker ends."""
    deadline = time.monotonic() + seconds
    worker.wait_for(lambda: time.monotonic() > deadline, "")


def ask(client: FlaskClient, phone: str) -> int:
    code: int = client.post("/api/user/verify", json={"phonenum": phone}).json["code"]
    return code


def sent(outbox: Path) -> list[Any]:
    """The numbers that have been sent a code, each once."""
    lines = outbox.read_text().splitlines() if outbox.exists() else []
    return sorted({json.loads(line)["phone"].removeprefix("+86") for line in lines})
