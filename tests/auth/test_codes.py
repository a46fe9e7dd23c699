"""Login codes: budgets, single use, secrecy, and what happens when a part fails on the way."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis.exceptions import RedisError
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from config.settings import Settings
from swiper.auth import codes, login
from swiper.auth.challenges import live_codes
from swiper.auth.codes import claim_seconds, deliver_code, issue_code, purge_outbox, unsent_codes
from swiper.auth.models import SmsOutbox
from swiper.clock import now
from swiper.extensions import db, redis
from swiper.profiles.models import User
from swiper.signals import code_issued
from swiper.sms import SmsError, SmsProvider
from swiper.sms.console import ConsoleProvider
from swiper.tasks.celery import CODES_QUEUE
from tests.factories import People

pytestmark = pytest.mark.usefixtures("app")

PHONE = "13800138000"
STORED = "+8613800138000"


class BrokenProvider(SmsProvider):
    """Refuses every message and remembers what it was given."""

    name = "broken"

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.offered: list[str] = []

    def wire_number(self, phone: str) -> str | None:
        return phone

    def try_send(self, number: str, code: str) -> None:
        self.offered.append(code)
        raise SmsError("E42")


@pytest.fixture
def broken_provider(app: Flask) -> Iterator[BrokenProvider]:
    provider, former = BrokenProvider(app.config), app.extensions["sms"]
    app.extensions["sms"] = [provider]
    yield provider
    app.extensions["sms"] = former


@contextmanager
def failing(module: ModuleType, name: str, then: Callable[[], object] = lambda: None) -> Iterator[None]:
    """The database goes away whenever a function of `module` is called that writes to it."""

    def fail(*_: Any) -> None:
        then()
        raise OperationalError("INSERT", {}, Exception("the server went away"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, fail)
        yield


def ask(client: FlaskClient, phone: str = PHONE, **kwargs: Any) -> Any:
    return client.post("/api/user/verify", json={"phonenum": phone}, **kwargs)


def enter(client: FlaskClient, code: str, phone: str = PHONE) -> Any:
    return client.post("/api/user/login", json={"phonenum": phone, "vcode": code})


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def keys(app: Flask, pattern: str) -> list[bytes]:
    with app.app_context():
        return list(redis.client.keys(pattern))


def drop(app: Flask, *patterns: str) -> None:
    """Stands for the time that must pass until these keys run out."""
    with app.app_context():
        for key in [key for pattern in patterns for key in redis.client.keys(pattern)]:
            redis.client.delete(key)


def counters(app: Flask) -> dict[bytes, int]:
    """Every budget that is not zero."""
    with app.app_context():
        names = [*redis.client.keys("{p:*}:hour"), *redis.client.keys("{p:*}:day"), *redis.client.keys("sms:*")]
        return {name: int(redis.client.get(name)) for name in names if int(redis.client.get(name))}


def outbox(app: Flask) -> list[SmsOutbox]:
    with app.app_context():
        return list(db.session.scalars(select(SmsOutbox).order_by(SmsOutbox.id)))


def run_task(app: Flask, name: str, *args: Any) -> Any:
    return app.extensions["celery"].tasks[name](*args)


def test_a_code_has_six_digits_and_goes_to_the_number_once(app: Flask, client: FlaskClient, people: People) -> None:
    answer = ask(client).json
    challenge = answer["data"].pop("challenge")
    assert answer == {"code": 0, "data": {"expires_in": 600, "resend_in": 60, "delivery": "sent"}}
    assert len(challenge) == 32
    code = people.sent_code()
    assert len(code) == 6
    assert code.isdigit()
    lines = (app.config["INSTANCE"] / "sms-outbox.jsonl").read_text().splitlines()
    assert len(lines) == 1
    assert STORED in lines[0]
    assert outbox(app) == []


def test_a_code_is_used_once(client: FlaskClient, app: Flask, people: People) -> None:
    ask(client)
    code = people.sent_code()
    assert enter(client, code).status_code == 200
    answer = enter(app.test_client(), code)
    assert (answer.status_code, answer.json["code"]) == (400, 1000)


def test_200_parallel_logins_with_the_right_code_log_in_once(app: Flask, make_app: Callable[..., Flask]) -> None:
    # 200 threads of one process take turns, so each waits longer than a request of production would.
    patient = make_app(redis_timeout_seconds=20.0)
    ask(patient.test_client())
    code = People(patient).sent_code()
    start = threading.Barrier(200)
    answers: Counter[int] = Counter()

    def log_in() -> None:
        own = patient.test_client()
        start.wait()
        answers[enter(own, code).json["code"]] += 1

    threads = [threading.Thread(target=log_in) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {0: 1, 1000: 199}
    with app.app_context():
        assert len(db.session.scalars(select(User.id)).all()) == 1


def test_two_first_logins_of_one_number_make_one_account(app: Flask) -> None:
    start = threading.Barrier(8)
    found: list[int] = []

    def find() -> None:
        with app.app_context():
            start.wait()
            found.append(login.find_or_create(STORED).id)
            db.session.remove()

    threads = [threading.Thread(target=find) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_four_wrong_guesses_leave_the_fifth_to_the_right_code(client: FlaskClient, people: People) -> None:
    ask(client)
    code = people.sent_code()
    assert [enter(client, wrong(code)).json["code"] for _ in range(4)] == [1000] * 4
    assert enter(client, code).status_code == 200


def test_after_five_wrong_guesses_the_right_code_is_dead(client: FlaskClient, people: People) -> None:
    ask(client)
    code = people.sent_code()
    assert [enter(client, wrong(code)).json["code"] for _ in range(5)] == [1000] * 5
    assert enter(client, code).json["code"] == 1000


def test_parallel_guesses_are_counted_one_by_one(app: Flask, client: FlaskClient, people: People) -> None:
    ask(client)
    code = people.sent_code()
    start = threading.Barrier(20)

    def guess() -> None:
        own = app.test_client()
        start.wait()
        enter(own, wrong(code))

    threads = [threading.Thread(target=guess) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert enter(app.test_client(), code).json["code"] == 1000


def test_a_code_runs_out(app: Flask, client: FlaskClient, people: People) -> None:
    ask(client)
    code = people.sent_code()
    [key] = keys(app, "{p:*}:codes")
    with app.app_context():
        assert 590 < redis.client.ttl(key) <= 600
        redis.client.pexpire(key, 1)
    threading.Event().wait(0.05)
    assert enter(client, code).json["code"] == 1000


def test_guessing_does_not_lengthen_a_code_s_life(app: Flask, client: FlaskClient, people: People) -> None:
    ask(client)
    code = people.sent_code()
    [key] = keys(app, "{p:*}:codes")
    with app.app_context():
        redis.client.expire(key, 100)
        enter(client, wrong(code))
        assert redis.client.ttl(key) <= 100


def test_the_four_ways_to_be_wrong_look_the_same(app: Flask, client: FlaskClient, people: People) -> None:
    ask(client)
    code = people.sent_code()
    answers = [enter(client, wrong(code)), enter(client, code, "13900139000")]
    enter(client, code)
    answers.append(enter(client, code))
    drop(app, "{p:*}:lock")
    ask(client)
    locked = people.sent_code()
    for _ in range(5):
        enter(client, wrong(locked))
    answers.append(enter(client, locked))
    assert {answer.get_data() for answer in answers} == {answers[0].get_data()}


def test_a_code_belongs_to_its_number(client: FlaskClient, people: People) -> None:
    ask(client)
    code = people.sent_code()
    assert enter(client, code, "13900139000").json["code"] == 1000
    assert enter(client, code).status_code == 200


def test_a_second_code_within_a_minute_is_refused_with_the_time_to_wait(app: Flask, client: FlaskClient) -> None:
    ask(client)
    answer = ask(client)
    assert (answer.status_code, answer.json["code"]) == (429, 1006)
    assert 55 < int(answer.headers["Retry-After"]) <= 60
    assert len(outbox(app)) == 1
    drop(app, "{p:*}:lock")
    assert ask(client).status_code == 200


def test_all_spellings_of_a_number_share_one_budget(app: Flask, client: FlaskClient) -> None:
    assert ask(client, "13800138000").status_code == 200
    for spelling in ("+8613800138000", "138 0013 8000", "１３８００１３８０００", "008613800138000"):
        assert ask(client, spelling).json["code"] == 1006
    assert len(keys(app, "{p:*}:lock")) == 1
    assert ask(client, "13900139000").status_code == 200


def test_five_codes_an_hour(app: Flask, client: FlaskClient) -> None:
    for _ in range(5):
        assert ask(client).status_code == 200
        drop(app, "{p:*}:lock")
    answer = ask(client)
    assert answer.json["code"] == 1006
    assert 3500 < int(answer.headers["Retry-After"]) <= 3600
    drop(app, "{p:*}:hour")
    assert ask(client).status_code == 200


def test_ten_codes_a_day(app: Flask, client: FlaskClient) -> None:
    for _ in range(10):
        assert ask(client).status_code == 200
        drop(app, "{p:*}:lock", "{p:*}:hour")
    answer = ask(client)
    assert answer.json["code"] == 1006
    assert 86_000 < int(answer.headers["Retry-After"]) <= 86_400
    drop(app, "{p:*}:day")
    assert ask(client).status_code == 200


def test_an_address_has_a_budget_of_its_own(make_app: Callable[..., Flask]) -> None:
    client = make_app(sms_per_ip_per_day=2).test_client()
    assert ask(client, "13800138001").status_code == 200
    assert ask(client, "13800138002").status_code == 200
    answer = ask(client, "13800138003")
    assert answer.json["code"] == 1006
    assert 86_000 < int(answer.headers["Retry-After"]) <= 86_400
    assert ask(client, "13800138003", environ_base={"REMOTE_ADDR": "203.0.113.7"}).status_code == 200


def test_all_addresses_together_have_a_budget(make_app: Callable[..., Flask]) -> None:
    client = make_app(sms_global_per_day=2).test_client()
    for number in (1, 2):
        source = {"REMOTE_ADDR": f"203.0.113.{number}"}
        assert ask(client, f"1380013800{number}", environ_base=source).status_code == 200
    assert ask(client, "13800138003", environ_base={"REMOTE_ADDR": "203.0.113.3"}).json["code"] == 1006


def test_a_refused_request_counts_nothing(app: Flask, client: FlaskClient) -> None:
    ask(client)
    before = counters(app)
    assert set(before.values()) == {1}
    # Hour and day of the number, the address and its network, everybody, and the count for the brake.
    assert len(before) == 6
    assert ask(client).json["code"] == 1006
    assert ask(client, "not a number").json["code"] == 1005
    assert counters(app) == before


def test_a_number_refused_for_its_address_keeps_its_own_budget(make_app: Callable[..., Flask], app: Flask) -> None:
    client = make_app(sms_per_ip_per_day=0).test_client()
    assert ask(client).json["code"] == 1006
    assert counters(app) == {}
    assert keys(app, "{p:*}:lock") == []


def test_an_address_refused_for_everybody_keeps_its_budget(make_app: Callable[..., Flask], app: Flask) -> None:
    client = make_app(sms_global_per_day=0).test_client()
    assert ask(client).json["code"] == 1006
    assert counters(app) == {}


def test_nothing_is_counted_and_no_code_is_valid_when_the_database_fails(app: Flask, client: FlaskClient) -> None:
    with failing(codes, "_put_into_outbox"):
        answer = ask(client)
    assert (answer.status_code, answer.json["code"]) == (503, 1011)
    assert counters(app) == {}
    assert keys(app, "{p:*}:lock") == []
    assert keys(app, "{p:*}:codes") == []
    assert ask(client).status_code == 200


def test_a_counter_that_ran_out_is_not_revived_without_an_end(app: Flask, client: FlaskClient) -> None:
    with failing(codes, "_put_into_outbox", lambda: drop(app, "sms:*")):
        assert ask(client).json["code"] == 1011
    assert ask(client).status_code == 200
    with app.app_context():
        assert all(redis.client.ttl(key) > 0 for key in redis.client.keys("sms:*"))
    assert set(counters(app).values()) == {1}


def test_a_login_that_the_database_fails_gives_the_code_back(app: Flask, client: FlaskClient, people: People) -> None:
    ask(client)
    code = people.sent_code()
    with failing(login, "find_or_create"):
        assert enter(client, code).json["code"] == 1011
    [key] = keys(app, "{p:*}:codes")
    with app.app_context():
        assert 500 < redis.client.ttl(key) <= 600
    assert enter(client, code).status_code == 200


def test_the_code_is_stored_in_clear_nowhere(
    app: Flask, client: FlaskClient, people: People, settings: Settings
) -> None:
    log_file = (settings.log_dir or settings.instance) / "info.log"
    logged = log_file.stat().st_size if log_file.exists() else 0
    ask(client)
    [row] = outbox(app)
    with app.app_context():
        kept = {key: redis.client.dump(key) for key in redis.client.keys("*")}
        [stored] = [redis.client.get(key) for key in redis.client.keys("{p:*}:codes")]
        queued = b"".join(redis.client.lrange(CODES_QUEUE, 0, -1))
    assert str(row.id).encode() in queued
    code = people.sent_code()
    assert code not in row.sealed_code
    assert code not in str(row.id)
    assert code.encode() not in stored
    secrets = [value or b"" for key, value in kept.items() if not key.startswith((b"celery", b"_kombu"))]
    assert not any(code.encode() in value or PHONE.encode() in value for value in secrets)
    assert not any(PHONE.encode() in key for key in kept)
    assert f'"{code}"'.encode() not in queued
    assert PHONE.encode() not in queued
    enter(client, wrong(code))
    enter(client, code)
    with log_file.open(encoding="utf-8") as log:
        log.seek(logged)
        text = log.read()
    assert "console sent a code" in text
    assert code not in text
    assert PHONE not in text


def test_the_signal_and_the_task_carry_the_outbox_id_alone(app: Flask, client: FlaskClient) -> None:
    heard: list[dict[str, Any]] = []

    def listen(_sender: Any, **told: Any) -> None:
        heard.append(told)

    with code_issued.connected_to(listen):
        ask(client)
    assert heard == [{"outbox_id": outbox(app)[0].id}]


def test_a_new_code_replaces_the_old_one(app: Flask, client: FlaskClient, people: People) -> None:
    ask(client)
    old = people.sent_code()
    drop(app, "{p:*}:lock")
    ask(client)
    new = people.sent_code()
    if old != new:
        assert enter(client, old).json["code"] == 1000
    assert enter(client, new).status_code == 200


def test_a_replaced_code_is_not_sent_any_more(app: Flask, client: FlaskClient, people: People) -> None:
    ask(client)
    [old] = outbox(app)
    drop(app, "{p:*}:lock")
    ask(client)
    with app.app_context():
        deliver_code(old.id)
    assert not (app.config["INSTANCE"] / "sms-outbox.jsonl").exists()
    assert [row.id for row in outbox(app)] != [old.id]
    assert enter(client, people.sent_code()).status_code == 200


def test_a_dead_code_is_not_sent_any_more(app: Flask, client: FlaskClient) -> None:
    ask(client)
    [row] = outbox(app)
    drop(app, "{p:*}:codes")
    with app.app_context():
        deliver_code(row.id)
        assert deliver_code(row.id) is False
    assert not (app.config["INSTANCE"] / "sms-outbox.jsonl").exists()
    assert outbox(app) == []


def test_a_code_that_is_being_sent_is_not_sent_by_another_worker(app: Flask, client: FlaskClient) -> None:
    ask(client)
    [row] = outbox(app)
    with app.app_context():
        db.session.execute(update(SmsOutbox).values(claimed_until=now() + timedelta(seconds=20)))
        db.session.commit()
        assert deliver_code(row.id) is False
        assert unsent_codes() == []
        db.session.execute(update(SmsOutbox).values(claimed_until=now() - timedelta(seconds=1)))
        db.session.commit()
        assert unsent_codes() == [row.id]
        assert deliver_code(row.id) is True


def test_workers_that_race_send_a_code_once(app: Flask, client: FlaskClient) -> None:
    ask(client)
    [row] = outbox(app)
    start = threading.Barrier(6)
    sent: list[bool] = []

    def send() -> None:
        with app.app_context():
            start.wait()
            sent.append(deliver_code(row.id))
            db.session.remove()

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sent) == [False] * 5 + [True]
    assert len((app.config["INSTANCE"] / "sms-outbox.jsonl").read_text().splitlines()) == 1


def test_a_failing_provider_leaves_the_code_for_the_next_try(
    app: Flask, client: FlaskClient, broken_provider: BrokenProvider
) -> None:
    ask(client)
    [row] = outbox(app)
    with pytest.raises(SmsError):
        run_task(app, "auth.send_code", row.id)
    assert [left.id for left in outbox(app)] == [row.id]
    with app.app_context():
        assert unsent_codes() == [row.id]
    assert len(broken_provider.offered) == 1


def test_the_sweep_sends_the_same_code_that_was_not_sent(
    app: Flask, client: FlaskClient, broken_provider: BrokenProvider, people: People
) -> None:
    ask(client)
    run_task(app, "auth.sweep_codes")
    run_task(app, "auth.sweep_codes")
    assert len(broken_provider.offered) == 2
    assert len(set(broken_provider.offered)) == 1
    app.extensions["sms"] = [ConsoleProvider(app.config)]
    run_task(app, "auth.sweep_codes")
    assert people.sent_code() == broken_provider.offered[0]
    assert enter(client, broken_provider.offered[0]).status_code == 200


def test_a_code_that_redis_could_not_vouch_for_waits_for_nobody(
    app: Flask, client: FlaskClient, make_app: Callable[..., Flask]
) -> None:
    ask(client)
    [row] = outbox(app)
    away = make_app(redis_url="redis://127.0.0.1:9/0")
    with away.app_context(), pytest.raises(RedisError):
        deliver_code(row.id)
    with app.app_context():
        assert unsent_codes() == [row.id]
        assert deliver_code(row.id)


def test_a_code_that_no_key_opens_holds_up_no_other(app: Flask, client: FlaskClient, make_app: Any) -> None:
    make_app(secret_key="another key, before it was changed").test_client().post(
        "/api/user/verify", json={"phonenum": "13900139000"}
    )
    ask(client)
    run_task(app, "auth.sweep_codes")
    assert outbox(app) == []
    (line,) = (app.config["INSTANCE"] / "sms-outbox.jsonl").read_text().splitlines()
    assert STORED in line


def test_a_claim_outlasts_the_waiting_for_all_providers(make_app: Callable[..., Flask], app: Flask) -> None:
    slow = make_app(sms_providers=["console", "console"], sms_timeout_seconds=15.0)
    ask(slow.test_client())
    [row] = outbox(app)
    providers = slow.extensions["sms"]
    claimed: list[float] = []

    def note(_phone: str, _code: str) -> None:
        [held] = outbox(app)
        claimed.append((held.claimed_until - now()).total_seconds())
        raise SmsError("E42")

    for provider in providers:
        provider.try_send = note
    with slow.app_context(), pytest.raises(SmsError):
        deliver_code(row.id)
    # Each may take its time-out to connect and once more to answer.
    assert all(4 * 15 < seconds <= 4 * 15 + 4 for seconds in claimed)
    assert len(claimed) == 2
    with app.app_context():
        # With two providers and the default time-out, a dead worker's code goes out well within 60 s.
        assert claim_seconds() * 2 <= 30


def test_a_task_that_comes_late_sends_nothing(app: Flask, client: FlaskClient, people: People) -> None:
    ask(client)
    [row] = outbox(app)
    people.sent_code()
    run_task(app, "auth.send_code", row.id)
    assert len((app.config["INSTANCE"] / "sms-outbox.jsonl").read_text().splitlines()) == 1


def test_codes_that_ran_out_unsent_are_purged(app: Flask, client: FlaskClient) -> None:
    ask(client)
    ask(client, "13900139000")
    kept, old = outbox(app)
    with app.app_context():
        db.session.execute(
            update(SmsOutbox).where(SmsOutbox.id == old.id).values(expires_at=now() - timedelta(seconds=1))
        )
        db.session.commit()
        assert unsent_codes() == [kept.id]
        assert deliver_code(old.id) is False
        purge_outbox()
    assert [row.id for row in outbox(app)] == [kept.id]


def test_the_answer_does_not_wait_for_the_provider(app: Flask, client: FlaskClient) -> None:
    assert ask(client).status_code == 200
    assert not (app.config["INSTANCE"] / "sms-outbox.jsonl").exists()
    assert len(outbox(app)) == 1


@pytest.mark.usefixtures("context")
def test_codes_are_drawn_anew_each_time(app: Flask) -> None:
    digests = set()
    for _ in range(5):
        issue_code(PHONE, "203.0.113.1")
        digests.add(live_codes(STORED)[-1]["digest"])
        redis.client.delete(*redis.client.keys("{p:*}:lock"))
    assert len(digests) > 1
