"""What the cache keeps, on each backend: msgpack and nothing else; its deletes; its faults beside its outages."""

import logging
import os
import pickle
import shutil
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis.exceptions import ReadOnlyError, ResponseError

from swiper.cache import calls, values
from swiper.cache.backends import PREFIX, PackedSerializer
from swiper.cache.calls import safe_call
from swiper.cache.values import get_or_load, invalidate
from swiper.extensions import cache
from swiper.http.page_cache import try_lock, unlock
from tests.processes import Program, free_port

MakeApp = Callable[..., Flask]
KINDS = ["simple", "file", "redis", pytest.param("memcached", marks=pytest.mark.services)]
UNPICKLED: list[str] = []


class Trap:
    """Notes that somebody has unpickled it."""

    def __reduce__(self) -> Any:
        return UNPICKLED.append, ("unpickled",)


@pytest.fixture
def app_on(build: MakeApp, tmp_path: Path) -> Iterator[MakeApp]:
    """An application on the named backend; starts memcached where it is needed."""
    servers: list[Program] = []

    def make(kind: str) -> Flask:
        if kind != "memcached":
            return build(kind)
        port = free_port()
        command = (shutil.which("memcached") or "memcached", "-l", "127.0.0.1", "-p", port, "-U", 0, "-m", 16)
        as_root = ("-u", "root") if os.getuid() == 0 else ()
        servers.append(Program((*command, *as_root), {"PATH": os.environ["PATH"]}, tmp_path / "memcached.log"))
        time.sleep(0.5)
        return build(kind, cache_memcached_servers=[f"127.0.0.1:{port}"])

    yield make
    for server in servers:
        server.__exit__(None, None, None)


@pytest.mark.parametrize("kind", KINDS)
def test_two_loops_on_one_key_do_not_switch_the_cache_off(
    app_on: MakeApp, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One stores what the other drops: cachelib's `delete_many` takes that for an error."""
    app, is_over, errors = app_on(kind), threading.Event(), []
    # Building an application sets the logging up anew.
    logging.getLogger().addHandler(caplog.handler)

    def store() -> None:
        with app.app_context():
            while not is_over.is_set():
                safe_call("set", "{u:1}:thing", "value", timeout=60)

    def note_state() -> None:
        with app.app_context():
            if time.monotonic() < app.extensions.get("cache_away_until", 0):
                errors.append("the cache is switched off")

    writer = threading.Thread(target=store)
    writer.start()
    try:
        with app.app_context():
            before = safe_call("get", "{u:1}:thing:mark")
            for _ in range(150):
                invalidate("{u:1}:thing")
                mark = safe_call("get", "{u:1}:thing:mark")
                assert mark not in (None, before)
                before = mark
                note_state()
    finally:
        is_over.set()
        writer.join()
        logging.getLogger().removeHandler(caplog.handler)
    assert errors == []
    assert [record.message for record in caplog.records if "cache" in record.message.lower()] == []


@pytest.mark.parametrize("kind", KINDS)
def test_values_come_back_as_they_were(app_on: MakeApp, kind: str) -> None:
    values = [1, "text", b"bytes", [], {"a": [1, None]}, 1.5, True, (b"body", "tag")]
    with app_on(kind).app_context():
        for number, value in enumerate(values):
            name, kind_of_value = f"value-{number}", type(value)
            for _ in range(2):
                found = get_or_load(name, lambda value=value: value, 60, kind_of_value)  # type: ignore[misc]
                assert (found, type(found)) == (value, kind_of_value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pickled_value_is_no_value_and_is_not_unpickled(app_on: MakeApp, kind: str, tmp_path: Path) -> None:
    UNPICKLED.clear()
    app = app_on(kind)
    with app.app_context():
        backend: Any = cache.cache
        pickled = pickle.dumps(Trap())
        if kind == "redis":
            app.extensions["redis"].set(f"{app.config['CACHE_KEY_PREFIX']}k", b"!" + pickled)
        elif kind == "file":
            Path(backend._get_filename("k")).write_bytes(struct.pack("I", 0) + pickled)
        elif kind == "simple":
            backend._cache["k"] = (0, pickled)
        else:
            with backend._client_context() as client:
                # pylibmc's own flag for pickle.
                client.serialize = lambda value: (pickled, 1)
                client.set(f"{app.config['CACHE_KEY_PREFIX']}k", b"")
                del client.serialize
        assert get_or_load("k", lambda: "fresh", 60) == "fresh"
        assert get_or_load("k", lambda: "later", 60) == "fresh"
    assert UNPICKLED == []


def test_a_value_that_does_not_fit_its_type_is_loaded_anew(app: Flask) -> None:
    with app.app_context():
        safe_call("set", "k", {"of": "another release"}, timeout=60)
        assert get_or_load("k", lambda: [("a", 1)], 60, list[tuple[str, int]]) == [("a", 1)]
        assert get_or_load("k", lambda: [], 60, list[tuple[str, int]]) == [("a", 1)]


def test_what_msgpack_does_not_know_is_refused() -> None:
    with pytest.raises(TypeError):
        PackedSerializer().dumps(Trap())
    assert PackedSerializer().loads(PREFIX + b"\xc1") is None


@pytest.mark.parametrize(
    ("error", "level", "is_left_alone"),
    [
        (RuntimeError("Failed to delete keys"), "ERROR", False),
        (ResponseError("WRONGTYPE Operation against a key"), "ERROR", False),
        (ReadOnlyError("You can't write against a read only replica."), "WARNING", False),
        (ResponseError("MISCONF Redis is configured to save RDB snapshots"), "WARNING", False),
        (ConnectionError("memcached: ServerDown"), "WARNING", True),
        (TimeoutError(), "WARNING", True),
        (OSError(28, "No space left on device"), "WARNING", True),
    ],
)
def test_only_an_outage_switches_the_cache_off_and_a_fault_is_logged_as_one(
    build: MakeApp,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    level: str,
    is_left_alone: bool,
) -> None:
    app = build("simple")
    logging.getLogger().addHandler(caplog.handler)

    def fail(*_: Any, **__: Any) -> None:
        raise error

    with app.app_context():
        monkeypatch.setattr(cache.cache, "get", fail)
        assert get_or_load("k", lambda: "value", 60) == "value"
        assert (time.monotonic() < app.extensions.get("cache_away_until", 0)) == is_left_alone
    logging.getLogger().removeHandler(caplog.handler)
    records = [record for record in caplog.records if record.name == calls.__name__]
    assert {record.levelname for record in records} == {level}
    assert all(bool(record.exc_info) == (level == "ERROR") for record in records)


@pytest.mark.parametrize("kind", KINDS)
def test_a_lock_is_given_back_by_its_holder_alone(app_on: MakeApp, kind: str) -> None:
    with app_on(kind).app_context():
        first = try_lock("page:lock", 60)
        assert first
        assert try_lock("page:lock", 60) is None
        # Its time runs out, and another process takes it.
        safe_call("delete", "page:lock")
        second = try_lock("page:lock", 60)
        assert second
        unlock("page:lock", first)
        assert try_lock("page:lock", 60) is None
        unlock("page:lock", second)
        assert try_lock("page:lock", 60)


def test_a_lock_has_its_time_from_the_beginning(app: Flask) -> None:
    with app.app_context():
        assert try_lock("page:lock", 60)
        name = values.shared_key("page:lock")
    assert 0 < app.extensions["redis"].ttl(name) <= 60
