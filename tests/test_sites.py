"""Several sites on one Redis: each has a name in all keys, queues and channels, and nothing of one reaches another.

The server itself holds this: each site has a user there, who may touch the keys and channels of that name alone.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import flask_migrate
import pytest
from celery import Celery
from flask import Flask
from flask.testing import FlaskClient
from pydantic import ValidationError
from redis import Redis
from redis.crc import key_slot
from redis.exceptions import NoPermissionError
from werkzeug.test import Client

from config.key_families import KEY_FAMILIES
from config.schedule import BEAT_SCHEDULE
from config.settings import ROOT, Settings
from deploy.embedded_redis import answers, redis_command
from swiper.admin.exporter import metrics_app
from swiper.admin.queues import queue_lengths
from swiper.admin.unlocks import unlock
from swiper.extensions import db, limiter, redis
from swiper.profiles.operators import grant_role
from swiper.site_marker import KEY, claim_site, claim_site_at_start
from swiper.social.models import SwipeKind
from swiper.social.ranking import add_points
from swiper.tasks.celery import CODES_QUEUE, HEARTBEAT, QUEUE
from tests.admin.conftest import AdminClient
from tests.factories import People, session_id_of
from tests.processes import Program, celery_worker, environment_of, free_port
from tests.security.life import Life

MakeApp = Callable[..., Flask]
SITES = ("north", "south")
# Of the Redis that the tests start, whatever the database is.
pytestmark = pytest.mark.any_database
CODES = 8
# As in docs/redis.md.
RIGHTS = ("+@all", "-@admin", "-@dangerous", "+info")
CONTROL = "/0.celery.pidbox"


@dataclass
class SharedServer:
    """A Redis of several sites, and a client that may do everything there."""

    client: Redis
    port: int

    def url(self, site: str) -> str:
        return f"redis://{site}:password@127.0.0.1:{self.port}/0"

    def settings_of(self, site: str) -> dict[str, Any]:
        """The settings that differ from those of the other tests."""
        url = self.url(site)
        return {"site_name": site, "redis_url": url, "celery_broker_url": url, "celery_result_backend": url}

    def names(self) -> set[bytes]:
        """What the names of all keys begin with."""
        return {key.partition(b":")[0] for key in self.client.scan_iter(count=1000)}

    def refusals(self) -> list[Any]:
        """What a site has tried on keys and channels that are not its own."""
        return [(entry["reason"], entry["object"], entry["username"]) for entry in self.client.acl_log()]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SharedServer]:
    socket, port = tmp_path / "redis.sock", free_port()
    command = (*redis_command(socket, tmp_path / "redis"), "--port", str(port), "--bind", "127.0.0.1")
    with Program(command, {}, tmp_path / "redis.log") as program:
        program.wait_for(lambda: answers(socket), "redis does not answer")
        client = Redis(unix_socket_path=str(socket))
        for site in SITES:
            # A subscription to a pattern is allowed by the same pattern alone.
            own = (f"~{site}:*", "resetchannels", f"&{site}:*", f"&{site}:{CONTROL}")
            client.execute_command("ACL", "SETUSER", site, "on", ">password", *RIGHTS, *own)
        yield SharedServer(client, port)
        client.close()


@contextmanager
def acting(app: Flask) -> Iterator[None]:
    """An app context; what is queued goes to the broker of `app`."""
    celery: Celery = app.extensions["celery"]
    celery.set_default()
    celery.set_current()
    with app.app_context():
        yield


# --- everything that the service does ---


def test_no_request_and_no_task_touches_a_key_without_the_name_of_the_site(
    app: Flask, make_app: MakeApp, server: SharedServer
) -> None:
    site = make_app(**server.settings_of("north"))
    life = Life(site)
    for part in (life.begin, life.buy, life.show, life.meet):
        part()
    life.ask_the_rest(set())
    life.stumble()
    life.end()
    visit_the_desk(site)
    with acting(site):
        celery = site.extensions["celery"]
        for entry in BEAT_SCHEDULE.values():
            if entry["task"] != HEARTBEAT:
                celery.tasks[entry["task"]].apply(throw=True)
                celery.tasks[entry["task"]].apply_async()
        assert queue_lengths()[QUEUE] > queue_lengths()[CODES_QUEUE] > 0
        assert claim_site()
    assert Client(metrics_app(site)).get("/metrics").status_code == 200
    assert site.test_client().get("/readyz").status_code == 200
    assert site.test_cli_runner().invoke(args=["check"]).exit_code == 0
    assert server.refusals() == []
    assert server.names() == {b"north"}
    kinds = (b"celery", b"_kombu", b"{u", b"{p", b"{ranking}", b"{figures}", b"LIMITS", b"cache2", b"sms", b"login")
    found = {key.split(b":")[1].split(b".")[0] for key in server.client.scan_iter(count=1000)}
    assert found >= set(kinds)


def visit_the_desk(site: Flask) -> None:
    person = People(site).add()
    with site.app_context():
        grant_role(person.id)
        unlock(person.id, session_id_of(person.client))
        db.session.remove()
    desk = AdminClient(person)
    for rule in site.url_map.iter_rules():
        if rule.rule.startswith("/admin") and not rule.arguments and "GET" in (rule.methods or ()):
            assert desk.get(rule.rule).status_code in (200, 302, 303)
    assert desk.post("/admin/unlock", code="000000").status_code == 400


def test_the_check_of_the_server_sees_a_key_without_the_name(app: Flask, server: SharedServer) -> None:
    with Redis.from_url(server.url("north")) as client, pytest.raises(NoPermissionError):
        client.get("{u:1}:deck")
    assert server.refusals() == [("key", "{u:1}:deck", "north")]


# --- two sites ---


def test_each_code_goes_out_by_the_worker_of_its_own_site(
    app: Flask, make_app: MakeApp, settings: Settings, server: SharedServer, tmp_path: Path
) -> None:
    """Without names, a worker takes the tasks of both, finds nothing in its database, and drops them."""
    sites = {name: own_site(make_app, server, name, tmp_path / name) for name in SITES}
    sent: dict[str, list[str]] = {name: [f"+86139001390{number:02}" for number in range(CODES)] for name in SITES}
    sent["south"] = [phone.replace("139001", "158001") for phone in sent["south"]]
    logs = {name: tmp_path / f"{name}.log" for name in SITES}
    with worker_of(sites["north"], logs["north"]) as north, worker_of(sites["south"], logs["south"]) as south:
        for worker in (north, south):
            worker.wait_for_line("ready.")
        for pair in zip(*sent.values(), strict=True):
            for site, phone in zip(sites.values(), pair, strict=True):
                with acting(site):
                    assert site.test_client().post("/api/user/verify", json={"phonenum": phone}).status_code == 200
        for name, worker in zip(SITES, (north, south), strict=True):
            worker.wait_for(partial(has_delivered_all, sites[name]), "a code is lost")
            worker.wait_for(partial(has_heartbeats, server, name), "a heartbeat does not come")
            [answer] = sites[name].extensions["celery"].control.ping(timeout=30, limit=1)
            assert answer == {f"celery@{name}": {"ok": "pong"}}
    assert {name: sorted(delivered(site)) for name, site in sites.items()} == sent
    assert server.refusals() == []
    assert server.names() == {b"north", b"south"}


def own_site(make_app: MakeApp, server: SharedServer, name: str, instance: Path) -> Flask:
    instance.mkdir()
    url = f"sqlite:///{instance / 'swiper.db'}"
    changes = {"instance": instance, "database_url": url, "cache_type": "redis", "log_dir": instance}
    site = make_app(**server.settings_of(name) | changes | {"secret_key": name * 8})
    with site.app_context():
        flask_migrate.upgrade(str(ROOT / "migrations"))
    return site


def worker_of(site: Flask, log: Path) -> Program:
    own: Settings = site.extensions["settings"]
    url = own.redis_url
    servers = {"SITE_NAME": own.site_name, "CELERY_BROKER_URL": url, "CELERY_RESULT_BACKEND": url}
    options = ("--beat", "--schedule", str(own.instance / "beat"), "--hostname", f"celery@{own.site_name}")
    return celery_worker(environment_of(own, **servers), log, *options)


def has_delivered_all(site: Flask) -> bool:
    return len(delivered(site)) == CODES


def has_heartbeats(server: SharedServer, name: str) -> bool:
    return server.client.hlen(f"{name}:heartbeats") == 2


def delivered(site: Flask) -> list[str]:
    """The numbers that got a code by this site."""
    file: Path = site.config["INSTANCE"] / "sms-outbox.jsonl"
    return [json.loads(line)["phone"] for line in file.read_text().splitlines()] if file.exists() else []


def test_sessions_scores_counts_and_tasks_of_two_sites_do_not_mix(app: Flask, make_app: MakeApp) -> None:
    north, south, nameless = (make_app(site_name=name) for name in ("north", "south", ""))
    people = People(north)
    person, other = people.add(), people.woman()
    assert person.deck() == [other.id]
    for site, code in ((north, 0), (south, 1001), (nameless, 1001)):
        client = site.test_client()
        client.set_cookie(site.config["SESSION_COOKIE_NAME"], session_id_of(person.client))
        assert answer_code(client) == code
    with acting(north):
        add_points(person.id, SwipeKind.LIKE)
        north.extensions["celery"].tasks["bans.purge"].apply_async()
        assert queue_lengths()[QUEUE] == 1
    keys = set(redis_keys(app, "*"))
    assert {f"north:{{u:{person.id}}}:deck", "north:{ranking}", "north:celery"} <= keys
    for site in (south, nameless):
        with acting(site):
            assert redis.client.zcard(redis.key("{ranking}")) == 0
            assert queue_lengths()[QUEUE] == 0


def test_an_upload_counts_for_the_limit_of_its_own_site(app: Flask, make_app: MakeApp) -> None:
    for name in SITES:
        # The limiter belongs to the process and follows the application that was made last.
        site = make_app(site_name=name, uploads_per_user_per_hour=1)
        assert People(site).add().client.post("/api/user/photos").status_code == 400
        storage: Any = limiter.limiter.storage
        [key] = redis_keys(app, "*LIMITS*")
        assert key.startswith(f"{name}:LIMITS:")
        storage.reset()
        assert redis_keys(app, "*LIMITS*") == []


def answer_code(client: FlaskClient) -> int:
    answer: Any = client.get("/api/user/profile").json
    return int(answer["code"])


def redis_keys(app: Flask, pattern: str) -> list[str]:
    with app.app_context():
        return [key.decode() for key in cast(list[bytes], redis.client.keys(pattern))]


# --- names ---


def test_without_a_name_all_keys_are_those_of_earlier_releases(app: Flask) -> None:
    """So that an upgrade loses no session, and processes of both releases may run at the same time."""
    assert app.config["SITE_NAME"] == app.config["KEY_PREFIX"] == ""
    with acting(app):
        assert redis.key("{u:1}:deck") == "{u:1}:deck"
        assert app.config["CACHE_KEY_PREFIX"] == "cache2:"
        app.extensions["celery"].tasks["bans.purge"].apply_async()
        assert redis.client.llen("celery") == 1


@pytest.mark.parametrize("name", ["{u}", "a:b", "North", "a b", "*", "-a", "a" * 33])
def test_a_name_that_would_change_slots_or_patterns_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="must be a word of lower-case letters"):
        Settings(_env_file=None, site_name=name)


@pytest.mark.parametrize("name", sorted(KEY_FAMILIES))
def test_a_name_that_keys_of_a_site_without_a_name_begin_with_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=f"keys of a site without a name begin with {name}:"):
        Settings(_env_file=None, site_name=name)
    Settings(_env_file=None, site_name=f"{name}-1")


def test_no_key_begins_with_a_word_that_a_site_may_have_as_its_name(app: Flask) -> None:
    with app.app_context():
        assert redis.key("site") == "site"
        for name in ("sms:all", "{u:7}:deck", "{north}:x"):
            assert redis.key(name) == name
        with pytest.raises(ValueError, match="does not have 'north'"):
            redis.key("north:x")


def test_keys_of_one_user_stay_in_one_slot(make_app: MakeApp) -> None:
    site = make_app(site_name="north")
    with site.app_context():
        names = ("{u:7}:deck", "{u:7}:sessions", "{u:7}:session:x", "cache2:{u:7}:account")
        assert len({key_slot(redis.key(name).encode()) for name in names}) == 1
        for name in ("sms:all", "{p:7}:hour"):
            key = redis.key(name)
            _, _, _, counted, answer = redis.client.once("return 0", [key])
            assert counted == key
            assert answer.startswith("north:")
            assert key_slot(answer.encode()) == key_slot(key.encode())


# --- another site with the same name ---


def test_a_site_knows_its_own_mark_after_a_new_secret_key(app: Flask, make_app: MakeApp) -> None:
    former = make_app(secret_key="a" * 40)
    rotated = make_app(secret_key="b" * 40, secret_key_fallbacks=["a" * 40])
    current = make_app(secret_key="b" * 40)
    for site in (former, rotated, former, current, rotated):
        with site.app_context():
            assert claim_site()
            assert 0 < int(redis.client.ttl(redis.key(KEY))) <= 86_400
        assert site.test_cli_runner().invoke(args=["check"]).exit_code == 0


def test_another_site_with_the_same_name_is_told(
    app: Flask, make_app: MakeApp, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = (make_app(secret_key=key * 40, site_name=name) for key, name in ("ax", "bx", "bz"))
    with first.app_context():
        assert claim_site()
    capsys.readouterr()
    with second.app_context():
        assert not claim_site()
        claim_site_at_start()
    words = "another site of the name 'x' uses this Redis: give this one a SITE_NAME of its own"
    assert capsys.readouterr().err.count(words) == 2
    answer = second.test_cli_runner().invoke(args=["check"])
    assert (answer.exit_code, answer.stderr.count(words)) == (1, 1)
    with first.app_context():
        assert claim_site()
    # Another name is no conflict.
    assert third.test_cli_runner().invoke(args=["check"]).exit_code == 0


def test_a_start_without_redis_goes_on(make_app: MakeApp, capsys: pytest.CaptureFixture[str]) -> None:
    with make_app(redis_url="unix:///nonexistent.sock").app_context():
        claim_site_at_start()
    assert "whether another site uses this Redis is not known: ConnectionError" in capsys.readouterr().err
