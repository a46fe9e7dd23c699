"""What `python -m bench.scale` computes: hashes, collisions, uneven likes, bytes, processors."""

import random

import pytest
from flask import Flask
from sqlalchemy import text

from bench import scale
from bench.scale_simulation import (
    capped_weights,
    draw_ids,
    expected_collisions,
    hash_of,
    new_people,
    spread_likes,
)
from bench.scale_storage import Costs, Relation, key_bytes, mark_of
from config.settings import Settings
from swiper.extensions import db, redis
from swiper.ids import EPOCH_MS, new_id


def test_hashes_are_those_of_postgresql() -> None:
    # SELECT hashint8(1), hashint8(42), hashint8(-5)
    assert [hash_of(value) - 2**31 for value in (1, 42)] == [-1905060026, 1509752520]


@pytest.mark.services
def test_postgresql_hashes_ids_in_the_same_way(context: None) -> None:
    if db.engine.dialect.name != "postgresql":
        return
    for value in (0, 1, -1, -(2**40), 2**63 - 1, *[new_id() for _ in range(50)]):
        assert db.session.scalar(text("SELECT hashint8(:value)"), {"value": value}) == hash_of(value) - 2**31


def test_ids_of_many_processes_collide_as_often_as_arithmetic_says(monkeypatch: pytest.MonkeyPatch) -> None:
    # With few random bits collisions are many.
    monkeypatch.setattr("swiper.ids.RANDOM_BITS", 8)
    monkeypatch.setattr("bench.scale_simulation.RANDOM_BITS", 8)
    drawn = draw_ids(100_000, 10_000, EPOCH_MS)
    assert drawn.expected == expected_collisions(100_000, 10_000) == pytest.approx(1_923, rel=0.01)
    assert drawn.collisions == pytest.approx(drawn.expected, rel=0.25)
    assert list(scale.too_many_collisions([drawn])) == []


def test_collisions_beyond_chance_are_told() -> None:
    drawn = draw_ids(1_000, 1_000, EPOCH_MS)
    worse = type(drawn)(drawn.count, drawn.rate, 100, drawn.expected, drawn.hottest)
    assert list(scale.too_many_collisions([worse])) == [
        f"100 of 1000 ids were equal at 1000 a second, {drawn.expected:.1f} expected"
    ]


def test_new_people_lie_evenly_on_shards() -> None:
    loads = [0] * 32
    for uid in new_people(50_000, EPOCH_MS):
        loads[hash_of(uid) * 32 >> 32] += 1
    assert max(loads) < 1.15 * 50_000 / 32


def test_nobody_is_liked_by_more_than_may_be_and_no_like_is_lost() -> None:
    weights = capped_weights(1_000, 20_000, 1.0, 500)
    assert weights == sorted(weights, reverse=True)
    assert (max(weights), round(sum(weights))) == (500, 20_000)
    assert weights.count(500) > 1
    assert weights[-1] > 0


def test_a_shard_that_is_too_hot_is_told() -> None:
    tail = spread_likes(2_000, 40_000, 0.75, 40_000, EPOCH_MS)
    hot = type(tail)(**vars(tail) | {"hottest": dict.fromkeys(tail.hottest, 1.31)})
    assert len(list(scale.too_hot([hot]))) == 1
    beyond = type(tail)(**vars(hot) | {"exponent": 1.0})
    assert list(scale.too_hot([beyond])) == []


def test_bytes_grow_with_people_or_with_swipes() -> None:
    by_people, by_swipes = Relation("users", "", 100, 1), Relation("swipes", "pk_swipes", 10, 1)
    assert by_people.bytes_for(1_000, 200) == 100_000
    assert by_swipes.bytes_for(1_000, 200) == 2_000_000
    _, rows = scale.bytes_table([by_people, by_swipes])
    assert [row[0] for row in rows] == ["users", "swipes", "all", "all"]
    assert rows[2][-1] == "105.0"


def test_processors_workers_and_machines_follow_from_what_a_request_costs(settings: Settings) -> None:
    costs = {name: Costs(100, {"web": 1_000.0, "redis": 100.0, "database": 200.0}) for name in scale.MIX}
    assert scale.cores_for(costs, "web", 10_000) == pytest.approx(10)
    assert scale.workers_for(costs, 10_000) in (20, 21)
    _, rows = scale.load_table(costs, settings)
    assert rows[-1][-1] == str(30 * scale.workers_for(costs, 10_000))
    _, machines = scale.machines_table([Relation("swipes", "", 100, 1)], costs)
    assert [int(row[-1]) for row in machines] == sorted(int(row[-1]) for row in machines)


def test_the_keys_of_a_user_are_told_by_their_tag(app: Flask) -> None:
    assert mark_of(b"north:{u:42}:deck") == b"{u:42}"
    assert mark_of(b"celery") == b""
    with app.app_context():
        redis.client.set("{u:42}:a", "x" * 1_000)
        redis.client.set("{u:421}:a", "x" * 9_000)
        redis.client.set("{u:43}:b", random.randbytes(2_000))
        sizes = sorted(key_bytes(redis.client, [42, 43]))
    assert len(sizes) == 2
    assert 1_000 < sizes[0] < 1_200 < 2_000 < sizes[1] < 2_700
