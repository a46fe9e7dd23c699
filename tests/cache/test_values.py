"""Memoized values: kept, forgotten by the write that changes them, never outliving it, never in the way."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from swiper.cache.values import get_or_load, get_or_load_shared, invalidate
from swiper.extensions import cache
from swiper.profiles.profiles import account_key
from tests.factories import People


class Source:
    """A value in the database that counts how often it is read."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.reads = 0

    def load(self) -> Any:
        self.reads += 1
        return self.value


@pytest.mark.usefixtures("context")
def test_a_value_is_read_once_until_it_is_forgotten() -> None:
    source = Source("first")
    assert [get_or_load("k", source.load, 60) for _ in range(3)] == ["first"] * 3
    reads = source.reads
    source.value = "second"
    assert get_or_load("k", source.load, 60) == "first"
    assert source.reads == reads
    invalidate("k")
    assert get_or_load("k", source.load, 60) == "second"
    assert get_or_load("k", source.load, 60) == "second"


@pytest.mark.usefixtures("context")
def test_forgetting_drops_the_named_keys_alone() -> None:
    for key in ("a", "b", "c"):
        get_or_load(key, Source(key).load, 60)
    invalidate("a", "b")
    assert [cache.get(key) for key in ("a", "b", "c")] == [None, None, "c"]


@pytest.mark.usefixtures("context")
def test_nothing_is_not_kept() -> None:
    source = Source(None)
    assert get_or_load("k", source.load, 60) is None
    source.value = "made meanwhile"
    assert get_or_load("k", source.load, 60) == "made meanwhile"


@pytest.mark.usefixtures("context")
def test_what_is_empty_is_kept() -> None:
    for key, value in (("a", []), ("b", 0), ("c", "")):
        source = Source(value)
        get_or_load(key, source.load, 60)
        reads = source.reads
        assert get_or_load(key, source.load, 60) == value
        assert source.reads == reads


@pytest.mark.usefixtures("context")
def test_a_reader_overtaken_by_a_write_leaves_nothing_old_behind() -> None:
    source = Source("old")

    def load_slowly() -> Any:
        value = source.load()
        if source.value == "old":
            # The write commits and invalidates after this reader has read and before it stores.
            source.value = "new"
            invalidate("k")
        return value

    get_or_load("k", load_slowly, 60)
    assert get_or_load("k", source.load, 60) == "new"
    assert get_or_load("k", source.load, 60) == "new"


@pytest.mark.usefixtures("context")
def test_a_process_keeps_its_own_copy_for_a_moment(app: Flask) -> None:
    source = Source("first")
    app.config["LOCAL_REFRESH_SECONDS"] = 60
    try:
        assert get_or_load_shared("k", source.load, 60) == "first"
        cache.delete("k")
        source.value = "second"
        assert get_or_load_shared("k", source.load, 60) == "first"
        invalidate("k")
        assert get_or_load_shared("k", source.load, 60) == "second"
    finally:
        app.config["LOCAL_REFRESH_SECONDS"] = 0
    source.value = "third"
    cache.delete("k")
    assert get_or_load_shared("k", source.load, 60) == "third"


def test_a_cache_that_is_away_costs_no_answer(make_app: Callable[..., Flask]) -> None:
    with make_app(redis_url="unix:///nonexistent.sock").app_context():
        source = Source("value")
        assert [get_or_load("k", source.load, 60) for _ in range(2)] == ["value"] * 2
        assert source.reads >= 2
        invalidate("k")


@pytest.mark.parametrize("cache_type", ["null", "simple", "file", "redis"])
def test_a_change_is_seen_at_once_with_every_cache(app: Flask, make_app: Callable[..., Flask], cache_type: str) -> None:
    made = make_app(cache_type=cache_type)
    person = People(made).add()
    for number in range(3):
        assert person.get("/api/user/profile").status_code == 200
        person.post("/api/user/profile/modify", bio=f"bio {number}")
        assert person.get("/api/user/profile").json["data"]["bio"] == f"bio {number}"


def test_users_do_not_share_a_key() -> None:
    assert account_key(1) != account_key(11)
