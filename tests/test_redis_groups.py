"""Redis behind Sentinels, and a Redis Cluster, on real servers: what the application asks of Redis works there."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from chaos.redis_groups import ClusterGroup, RedisGroup, SentinelGroup
from config.settings import Settings
from deploy.backup.redis_snapshot import SiteRedis
from deploy.processes import wait_until
from swiper.admin.queues import queue_lengths
from swiper.extensions import cache, limiter, redis
from swiper.redis_client import AppRedis
from swiper.redis_cluster import ClusterRedis
from swiper.social.ranking import add_all, drop_from_ranking
from swiper.social.ranking_rebuild import rebuild_ranking
from swiper.tasks.tasks import heartbeat
from tests.processes import patched_program

pytestmark = pytest.mark.services

GROUPS: dict[str, type[RedisGroup]] = {"sentinel": SentinelGroup, "cluster": ClusterGroup}
MakeApp = Callable[..., Flask]


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RedisGroup]]:
    """Both kinds of servers."""
    folder = tmp_path_factory.mktemp("groups")
    with SentinelGroup(folder / "sentinel") as sentinel, ClusterGroup(folder / "cluster") as cluster:
        yield {"sentinel": sentinel, "cluster": cluster}


@pytest.fixture(params=GROUPS)
def grouped(
    request: pytest.FixtureRequest, groups: dict[str, RedisGroup], app: Flask, make_app: MakeApp
) -> Iterator[Flask]:
    """An application whose Redis is a group. On the cluster Celery has a broker elsewhere."""
    is_cluster = request.param == "cluster"
    url = groups[request.param].url
    broker = {"celery_broker_url": "memory://" if is_cluster else url}
    broker |= {"celery_result_backend": "disabled://" if is_cluster else url}
    made = make_app(redis_url=url, cache_type="redis", site_name="north", **broker)
    with made.app_context():
        redis.client.flushdb()
        yield made
    made.extensions["redis"].close()


def test_commands_go_alone_together_and_in_transactions(grouped: Flask) -> None:
    client = redis.client
    assert client.set("k", 1)
    assert client.get("k") == b"1"
    script = client.once("return redis.call('INCR', KEYS[1])", ["counted"])
    one, none, refused, counted = client.execute_together(
        ("SET", "{a}:k", 1), ("GET", "missing"), ("LPUSH", "k", "x"), script
    )
    assert (one, none, counted) == (True, None, 1)
    assert isinstance(refused, ResponseError)
    assert client.execute_command(*script) == 1
    with client.pipeline(transaction=True) as pipe:
        pipe.set("{u:1}:a", 1)
        pipe.zadd("{u:1}:z", {"m": 1})
        pipe.delete("{u:1}:a", "{u:1}:b")
        assert pipe.execute()[1:] == [1, 1]
    assert {key.decode() for key in client.scan_iter(match="*k")} == {"k", "{a}:k"}


def test_the_cache_and_the_limits_are_there(grouped: Flask) -> None:
    cache.set("k", {"a": 1}, timeout=60)
    assert cache.get("k") == {"a": 1}
    assert redis.client.exists("north:cache2:k")
    storage = limiter.storage
    assert [storage.incr("LIMITER/u", 60) for _ in range(3)] == [1, 2, 3]
    assert [key.decode() for key in redis.client.scan_iter(match="north:LIMITS*")] == ["north:LIMITS:LIMITER/u"]


def test_the_ranking_is_kept_and_rebuilt(grouped: Flask) -> None:
    add_all({1: 5, 2: 3})
    drop_from_ranking(2)
    assert redis.client.zrange(redis.key("{ranking}"), 0, -1) == [b"1"]
    assert rebuild_ranking() == 0


def test_all_that_takes_writes_is_probed(grouped: Flask) -> None:
    count = 3 if isinstance(redis.client, ClusterRedis) else 1
    assert len(redis.client.spread_keys("readiness")) == count
    answer = grouped.test_client().get("/readyz")
    assert (answer.status_code, answer.json["data"]["redis"]) == (200, True), answer.json


def test_a_snapshot_is_saved_cleared_and_restored(grouped: Flask, tmp_path: Path) -> None:
    names = [f"north:sms:ip:{number}" for number in range(20)]
    for name in names:
        redis.client.set(name, 7, ex=1000)
    redis.client.set("east:sms:all", 1)
    snapshot = SiteRedis(grouped.config["REDIS_URL"], "north:")
    assert snapshot.save(tmp_path / "snapshot", with_sessions=False) == 20
    snapshot.clear()
    assert redis.client.get(names[0]) is None
    assert snapshot.restore(tmp_path / "snapshot") == (20, 0)
    assert [redis.client.get(name) for name in [*names, "east:sms:all"]] == [b"7"] * 20 + [b"1"]


def test_the_check_finds_everything_in_order(grouped: Flask) -> None:
    result = grouped.test_cli_runner().invoke(args=["check"])
    assert (result.exit_code, result.output) == (0, "Everything is in order.\n")


def test_tasks_are_queued_by_sentinels(
    groups: dict[str, RedisGroup], make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = groups["sentinel"].url
    # Celery reads both variables by itself, and would take them for its own form.
    for name in ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"):
        monkeypatch.setenv(name, url)
    app = make_app(redis_url=url, celery_broker_url=url, celery_result_backend=url, site_name="west")
    with app.app_context():
        redis.client.flushdb()
        heartbeat.apply_async()
        assert queue_lengths() == {"celery": 1, "celery-codes": 0}
        assert app.extensions["celery"].backend.client.ping()
        [message] = redis.client.lrange("west:celery", 0, -1)
        assert json.loads(message)["headers"]["task"] == "tasks.heartbeat"


def test_a_late_answer_of_the_master_is_not_that_of_the_next_command(
    groups: dict[str, RedisGroup], make_app: MakeApp
) -> None:
    url = groups["sentinel"].url
    app = make_app(redis_url=url, celery_broker_url=url, celery_result_backend=url, redis_timeout_seconds=0.3)
    with app.app_context():
        redis.client.mset({"{k}a": "one", "{k}b": "two"})
        with Redis(port=groups["sentinel"].master().port) as master:
            master.client_pause(800)
        with pytest.raises(RedisTimeoutError):
            redis.client.get("{k}a")
        time.sleep(0.8)
        assert [redis.client.get("{k}b") for _ in range(3)] == [b"two"] * 3


def test_keys_of_several_slots_are_a_fault_and_no_outage(groups: dict[str, RedisGroup], make_app: MakeApp) -> None:
    app = make_app(redis_url=groups["cluster"].url, celery_broker_url="memory://", celery_result_backend="disabled://")
    with app.app_context(), pytest.raises(RedisClusterException):
        redis.client.mget("a", "b")


def test_a_cluster_that_is_away_is_told_as_an_outage_and_does_not_stop_the_start(make_app: MakeApp) -> None:
    app = make_app(
        redis_url="redis://127.0.0.1:1,127.0.0.1:2/0?cluster=true",
        celery_broker_url="memory://",
        celery_result_backend="disabled://",
    )
    with app.app_context(), pytest.raises(RedisConnectionError):
        redis.client.get("k")
    answer = app.test_client().get("/readyz")
    assert (answer.status_code, answer.json["data"]["redis"]) == (503, False)


def test_a_cluster_that_takes_no_writes_is_not_ready(tmp_path: Path, app: Flask, make_app: MakeApp) -> None:
    with ClusterGroup(tmp_path / "cluster") as group:
        made = make_app(redis_url=group.url, celery_broker_url="memory://", celery_result_backend="disabled://")
        client = made.test_client()
        assert client.get("/readyz").status_code == 200
        # With a master and its replica gone, nothing is taken.
        dead = group.servers[0]
        with Redis(port=dead.port) as node:
            [replica] = [found for found in node.info("replication").items() if found[0] == "slave0"]
        for server in group.servers:
            if server.port in (dead.port, int(replica[1]["port"])):
                server.kill()
        assert client.get("/readyz").status_code == 503
        wait_until(lambda: _refuses(group.servers), 20, "the cluster goes on")
        assert client.get("/readyz").status_code == 503


def _refuses(servers: list[Any]) -> bool:
    for server in servers:
        if server.program.process.poll() is None:
            with Redis(port=server.port) as node:
                return node.execute_command("CLUSTER INFO")["cluster_state"] == "fail"
    return False


@pytest.mark.parametrize("name", GROUPS)
def test_a_master_that_dies_is_replaced(name: str, tmp_path: Path, make_app: MakeApp) -> None:
    elsewhere = {"celery_broker_url": "memory://", "celery_result_backend": "disabled://"}
    with GROUPS[name](tmp_path / name) as group:
        app = make_app(redis_url=group.url, **elsewhere)
        with app.app_context():
            client, keys = redis.client, [f"{{u:{number}}}:session" for number in range(30)]
            for key in keys:
                client.set(key, key)
            wait_until(lambda: _are_copied(group, keys), 20, "the replicas do not follow")
            group.master().kill()
            wait_until(lambda: _are_there(client, keys), 30, "nobody took over")
            assert [client.incr(key + ":n") for key in keys] == [1] * 30


def _are_copied(group: RedisGroup, keys: list[str]) -> bool:
    """True when as many keys are kept twice or three times."""
    counts = []
    for server in group.servers:
        with Redis(port=server.port) as client:
            counts.append(client.dbsize() if client.info("server").get("redis_mode") != "sentinel" else 0)
    return sum(counts) >= len(keys) * (2 if isinstance(group, ClusterGroup) else 3)


def _are_there(client: AppRedis, keys: list[str]) -> bool:
    try:
        return [client.getex(key) for key in keys] == [key.encode() for key in keys]
    except (RedisConnectionError, ResponseError):
        return False


def test_greenlets_share_a_connection_to_the_master(settings: Settings, tmp_path: Path) -> None:
    with patched_program(settings, tmp_path / "log", "tests.sentinel_checks", tmp_path / "servers") as program:
        assert program.wait(150) == 0, program.output
    assert program.output.splitlines()[-1] == "frozen", program.output
