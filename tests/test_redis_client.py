"""The client of Redis: every command gets its own answer, whatever happens to connections."""

import functools
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from redis.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MaxConnectionsError, ResponseError, WatchError
from redis.exceptions import TimeoutError as RedisTimeoutError

from config.settings import Settings
from deploy.processes import wait_until
from swiper.cache.values import is_in_redis
from swiper.extensions import cache, redis
from swiper.redis_client import AppPool, AppRedis
from tests.factories import at_once
from tests.processes import patched_program
from tests.proxy import FreezableProxy

NAME = "swiper-redis-test"
# Before a command is sent on, or before its answer comes back.
STAGES = pytest.mark.parametrize("is_sent", [False, True])
# As redis-py sends it.
GET = rb"GET\r\n"

MakeRedis = Callable[..., AppRedis]


@pytest.fixture
def make_redis(app: Flask, redis_url: str) -> Iterator[MakeRedis]:
    """Builds clients as the application does, with some options changed."""
    made: list[AppRedis] = []

    def make(url: str = redis_url, **changes: Any) -> AppRedis:
        options = app.config["REDIS_OPTIONS"] | {"client_name": NAME} | changes
        made.append(AppRedis(connection_pool=AppPool.from_url(url, **options)))
        return made[-1]

    yield make
    for client in made:
        client.connection_pool.disconnect()


@contextmanager
def proxied(redis_url: str) -> Iterator[tuple[FreezableProxy, str]]:
    """A proxy before Redis, and the address through it."""
    url = urlsplit(redis_url)
    target = (url.path, 0) if url.scheme == "unix" else (url.hostname or "", url.port or 6379)
    with FreezableProxy(*target) as proxy:
        yield proxy, f"redis://127.0.0.1:{proxy.port}{'' if url.scheme == 'unix' else url.path}"


def kill(app: Flask, number: int) -> None:
    with app.app_context():
        assert redis.client.client_kill_filter(_id=str(number)) == 1


# --- connections that are lost ---


def test_a_connection_that_the_server_has_closed_is_made_anew_and_the_command_answered(
    app: Flask, make_redis: MakeRedis
) -> None:
    client = make_redis(max_connections=1)
    client.set("k", "v")
    before = client.client_id()
    kill(app, before)
    assert client.get("k") == b"v"
    assert client.client_id() != before


def test_a_connection_is_polled_unless_it_was_given_back_a_moment_ago(
    app: Flask, make_redis: MakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_redis(max_connections=1).connection_pool
    polled: list[float] = []
    monkeypatch.setattr(AbstractConnection, "can_read", lambda _, timeout=0: bool(polled.append(timeout)))
    pool.release(pool.get_connection())
    before = len(polled)
    connection = pool.get_connection()
    assert len(polled) == before
    # A subscriber asks again for what has arrived.
    connection.can_read(timeout=1)
    assert polled[before:] == [1]
    pool.release(connection)
    monkeypatch.setattr("swiper.redis_client.TRUSTED_SECONDS", 0)
    pool.release(pool.get_connection())
    assert polled[before:] == [1, 0]


def test_a_subscriber_hears_of_each_message(make_redis: MakeRedis) -> None:
    client = make_redis(max_connections=2)
    listening = client.pubsub(ignore_subscribe_messages=True)
    listening.subscribe("news")
    wait_until(lambda: client.pubsub_numsub("news")[0][1] == 1, 10, "not subscribed")
    for number in range(3):
        client.publish("news", number)
        found: list[Any] = []
        wait_until(lambda found=found: found.append(listening.get_message()) or found[-1], 10, "no message")
        assert found[-1]["data"] == str(number).encode()
    listening.close()


def test_a_pipeline_on_a_connection_that_the_server_has_closed_is_answered(app: Flask, make_redis: MakeRedis) -> None:
    client = make_redis(max_connections=1)
    kill(app, client.client_id())
    assert client.pipeline().set("k", 1).incr("k").execute() == [True, 2]


def test_a_refusal_leaves_the_connection_as_it_was(make_redis: MakeRedis) -> None:
    client = make_redis(max_connections=1)
    client.set("k", "text")
    before = client.client_id()
    with pytest.raises(ResponseError):
        client.incr("k")
    assert client.get("k") == b"text"
    assert client.client_id() == before


def test_a_server_that_is_not_there_is_told_and_takes_no_place(make_redis: MakeRedis) -> None:
    client = make_redis("unix:///nonexistent.sock", max_connections=2)
    for _ in range(5):
        with pytest.raises(RedisConnectionError) as refused:
            client.get("k")
        assert not isinstance(refused.value, MaxConnectionsError)


# --- answers that come late ---


@STAGES
def test_an_answer_that_comes_late_is_given_to_nobody(is_sent: bool, redis_url: str, make_redis: MakeRedis) -> None:
    with proxied(redis_url) as (proxy, through):
        client = make_redis(through, max_connections=1, socket_timeout=0.3)
        client.mset({"late": "late", "a": "a", "b": "b"})
        for _ in range(3):
            proxy.freeze_at(GET, is_sent=is_sent)
            with pytest.raises(RedisTimeoutError):
                client.get("late")
            proxy.thaw()
            assert (client.get("a"), client.get("b")) == (b"a", b"b")


def test_a_command_that_got_no_answer_in_time_is_not_sent_again(redis_url: str, make_redis: MakeRedis) -> None:
    """It may have been carried out, and whoever waits has waited for long enough."""
    with proxied(redis_url) as (proxy, through):
        client = make_redis(through, max_connections=1, socket_timeout=0.3)
        client.set("n", 0)
        proxy.freeze_at(rb"INCRBY\r\n", is_sent=True)
        with pytest.raises(RedisTimeoutError):
            client.incr("n")
        proxy.thaw()
        assert client.get("n") == b"1"


class Interruption(BaseException):
    """What a signal's handler raises, or gevent in a greenlet that is ended."""


@contextmanager
def interrupted_once_frozen(proxy: FreezableProxy) -> Iterator[None]:
    """Interrupt the main thread, by a signal, when the proxy has frozen."""

    def interrupt(*_: object) -> None:
        raise Interruption

    def wait_and_send() -> None:
        wait_until(lambda: not proxy.flows.is_set(), 20, "nothing was sent")
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    sender = threading.Thread(target=wait_and_send)
    sender.start()
    try:
        yield
    finally:
        sender.join()
        signal.signal(signal.SIGUSR1, before)


@STAGES
def test_the_answer_to_an_interrupted_command_is_given_to_nobody(
    is_sent: bool, redis_url: str, make_redis: MakeRedis
) -> None:
    with proxied(redis_url) as (proxy, through):
        client = make_redis(through, max_connections=1, socket_timeout=30)
        client.mset({"late": "late", "a": "a"})
        proxy.freeze_at(GET, is_sent=is_sent)
        with pytest.raises(Interruption), interrupted_once_frozen(proxy):
            client.get("late")
        proxy.thaw()
        assert client.get("a") == b"a"


@pytest.mark.parametrize("fast_paths", ["on", "off"])
def test_a_greenlet_that_is_ended_leaves_its_answer_to_nobody_and_its_place_to_all(
    fast_paths: str, app: Flask, settings: Settings, tmp_path: Path
) -> None:
    arguments = ("redis", settings.database_url, settings.redis_url, fast_paths)
    with patched_program(settings, tmp_path / "log", "tests.interrupted_greenlets", *arguments) as program:
        assert program.wait() == 0, program.output
    assert program.output.splitlines()[-1] == "done"


# --- many at once ---


def is_waiting(app: Flask, count: int) -> bool:
    with app.app_context():
        clients: list[dict[str, str]] = redis.client.client_list()
    return [each["cmd"] for each in clients if each["name"] == NAME].count("blpop") == count


def test_one_command_too_many_is_refused_and_places_come_back(app: Flask, make_redis: MakeRedis) -> None:
    client = make_redis(max_connections=2, socket_timeout=30)
    waiting = [threading.Thread(target=client.blpop, args=("queue",)) for _ in range(2)]
    for thread in waiting:
        thread.start()
    wait_until(lambda: is_waiting(app, 2), 20, "the commands do not wait")
    with pytest.raises(MaxConnectionsError):
        client.get("k")
    with app.app_context():
        redis.client.rpush("queue", 1, 2)
    for thread in waiting:
        thread.join(20)
    assert at_once([client.ping] * 2) == [True] * 2


def test_failures_of_every_kind_give_their_place_back(app: Flask, redis_url: str, make_redis: MakeRedis) -> None:
    with proxied(redis_url) as (proxy, through):
        client = make_redis(through, max_connections=1, socket_timeout=0.3)
        for _ in range(3):
            client.set("k", "text")
            with pytest.raises(ResponseError):
                client.incr("k")
            proxy.freeze()
            with pytest.raises(RedisTimeoutError):
                client.get("k")
            proxy.thaw()
            kill(app, client.client_id())
        assert client.get("k") == b"text"


def test_threads_that_share_a_client_get_their_own_answers(make_redis: MakeRedis) -> None:
    threads, commands = 8, 200
    client = make_redis(max_connections=threads)

    def ask(thread: int) -> list[bytes]:
        return [client.echo(f"{thread} {number}") for number in range(commands)]

    answers = at_once([functools.partial(ask, thread) for thread in range(threads)])
    assert answers == [[b"%d %d" % (thread, number) for number in range(commands)] for thread in range(threads)]


# --- what else the application asks for ---


def test_pipelines_transactions_and_scripts_go_as_ever(make_redis: MakeRedis) -> None:
    client = make_redis(max_connections=2)
    with client.pipeline() as pipe:
        assert pipe.set("k", 1).incr("k").get("k").execute() == [True, 2, b"2"]
        with pytest.raises(ResponseError):
            pipe.set("k", "text").incr("k").execute()
    with client.pipeline() as pipe:
        pipe.watch("k")
        client.set("k", "changed meanwhile")
        pipe.multi()
        pipe.set("k", "lost")
        with pytest.raises(WatchError):
            pipe.execute()
    assert client.get("k") == b"changed meanwhile"
    assert client.eval("return {KEYS[1], ARGV[1] + 1}", 1, "k", 2) == [b"k", 3]
    assert client.zadd("z", {"a": 1.5}) == 1
    assert [tuple(found) for found in client.zrange("z", 0, -1, withscores=True)] == [(b"a", 1.5)]


def test_the_cache_asks_through_the_applications_own_client(make_app: Callable[..., Flask]) -> None:
    app = make_app(cache_type="redis")
    with app.app_context():
        assert cache.cache._write_client is cache.cache._read_client is redis.client
        assert isinstance(redis.client, AppRedis)
        assert is_in_redis()
        cache.set("k", {"a": 1}, timeout=60)
        assert cache.get("k") == {"a": 1}
        assert 0 < redis.client.ttl(f"{app.config['CACHE_KEY_PREFIX']}k") <= 60
    elsewhere = make_app(cache_type="simple")
    with elsewhere.app_context():
        assert not is_in_redis()
