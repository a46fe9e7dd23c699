"""Codes, budgets, devices and sessions go on when SECRET_KEY has moved into SECRET_KEY_FALLBACKS."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from swiper.auth import proof_of_work
from swiper.auth.challenges import keys_of, live_codes
from swiper.auth.code_budgets import count_guess, network_digests
from swiper.auth.devices import is_known_device, remember_device
from swiper.auth.login import redeem_code, restore_code
from swiper.encryption import keyed_digest, keyed_digests, seal, unseal
from swiper.errors import RateLimitedError
from swiper.extensions import redis
from tests.auth.test_challenges import OWNER, STORED, after, ask, enter, wrong
from tests.auth.test_proof_of_work import ADDRESS, PHONE, solve
from tests.factories import People
from tests.rotation import NEW_KEY, Rotate, rotation_of

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture
def rotate(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Rotate:
    return rotation_of(app, monkeypatch)


def test_what_a_former_key_has_sealed_is_opened_and_the_new_key_seals(app: Flask, rotate: Rotate) -> None:
    with app.app_context():
        former, digest = seal("x", "text"), keyed_digest("x", "text")
        rotate(True)
        assert unseal("x", former) == "text"
        assert keyed_digests("x", "text") == [keyed_digest("x", "text"), digest]
        assert keyed_digest("x", "text") != digest
        fresh = seal("x", "text")
        rotate(False)
        assert (unseal("x", former), unseal("x", fresh)) == (None, "text")
        assert keyed_digests("x", "text") == [keyed_digest("x", "text")]


def test_a_key_that_stands_twice_is_used_once(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "SECRET_KEY_FALLBACKS", [app.config["SECRET_KEY"], NEW_KEY, NEW_KEY])
    with app.app_context():
        assert len(keyed_digests("x", "text")) == 2


def test_a_code_that_was_sent_under_the_former_key_logs_in(
    app: Flask, client: FlaskClient, people: People, rotate: Rotate
) -> None:
    ask(client)
    code = people.sent_code()
    rotate(True)
    assert enter(client, code) == 0
    # It is used up.
    assert enter(app.test_client(), code) == 1000


def test_without_the_former_key_such_a_code_is_void(client: FlaskClient, people: People, rotate: Rotate) -> None:
    ask(client)
    code = people.sent_code()
    rotate(False)
    assert enter(client, code) == 1000


def test_a_code_that_waits_to_be_sent_is_sent(client: FlaskClient, people: People, rotate: Rotate) -> None:
    ask(client)
    rotate(True)
    assert enter(client, people.sent_code()) == 0


def test_guesses_count_on(app: Flask, client: FlaskClient, people: People, rotate: Rotate) -> None:
    ask(client)
    code = people.sent_code()
    assert [enter(client, wrong(code)) for _ in range(3)] == [1000] * 3
    rotate(True)
    assert [enter(client, wrong(code)) for _ in range(2)] == [1000] * 2
    assert enter(client, code) == 1000
    with app.app_context():
        [stored] = live_codes(STORED)
        assert [way["left"] for way in stored["ways"]] == [0]


def test_a_redeemed_code_is_restored_whatever_key_it_is_of(
    app: Flask, client: FlaskClient, people: People, rotate: Rotate
) -> None:
    ask(client)
    code = people.sent_code()
    rotate(True)
    with app.app_context():
        rest_ms = redeem_code(STORED, code)
        assert rest_ms
        restore_code(STORED, code, rest_ms)
        assert len(live_codes(STORED)) == 1
        assert redeem_code(STORED, code)


def test_the_wait_and_the_counts_of_a_number_go_on(app: Flask, client: FlaskClient, rotate: Rotate) -> None:
    for _ in range(4):
        ask(client)
        after(app, "lock")
    ask(client)
    rotate(True)
    # The holder of a challenge of the code is told to wait, and gets no second challenge of it.
    assert ask(client).json["code"] == 1006
    after(app, "lock", "codes")
    assert ask(client).json["code"] == 1006
    with app.app_context():
        assert [redis.client.get(key) for key in keys_of(STORED)[2:4]] == [b"5", b"5"]
        assert 3_500 < redis.client.ttl(keys_of(STORED)[2]) <= 3_600
        assert len(redis.client.keys("{p:*}:hour")) == 1


def test_two_processes_with_the_keys_in_different_order_share_the_codes(
    app: Flask, client: FlaskClient, people: People, make_app: Callable[..., Flask]
) -> None:
    """As while the instances are restarted in turn, both with both keys."""
    former = app.config["SECRET_KEY"]
    one = make_app(secret_key=former, secret_key_fallbacks=[NEW_KEY])
    other = make_app(secret_key=NEW_KEY, secret_key_fallbacks=[former])
    asked, stranger = one.test_client(), other.test_client()
    challenge = ask(asked).json["data"]["challenge"]
    code = people.sent_code()
    assert enter(stranger, wrong(code), challenge=challenge) == 1000
    assert enter(asked, wrong(code)) == 1000
    assert enter(stranger, code, challenge=challenge) == 0


def test_budgets_of_a_network_count_on(app: Flask, client: FlaskClient, rotate: Rotate) -> None:
    ask(client)
    with app.app_context():
        [former] = redis.client.keys("sms:ip:*")
        redis.client.set(former, app.config["SMS_PER_IP_PER_DAY"], keepttl=True)
        rotate(True)
        assert ask(client, phone="13900139000").json["code"] == 1006
        [key] = redis.client.keys("sms:ip:*")
        assert key.decode() == f"sms:ip:{network_digests(OWNER)[0]}"
        assert 86_000 < redis.client.ttl(key) <= 86_400


def test_guesses_of_an_address_count_on(app: Flask, monkeypatch: pytest.MonkeyPatch, rotate: Rotate) -> None:
    monkeypatch.setitem(app.config, "LOGIN_PER_IP_PER_MINUTE", 2)
    with app.app_context():
        count_guess(OWNER)
        rotate(True)
        count_guess(OWNER)
        with pytest.raises(RateLimitedError):
            count_guess(OWNER)


def test_a_device_stays_known_and_gets_a_mark_of_the_new_key(app: Flask, rotate: Rotate) -> None:
    with app.app_context():
        mark = remember_device("", STORED)
        assert mark
        assert remember_device(mark, STORED) is None
        rotate(True)
        assert is_known_device(mark, STORED)
        fresh = remember_device(mark, STORED)
        assert fresh
        assert "~" not in fresh
        rotate(False)
        assert (is_known_device(mark, STORED), is_known_device(fresh, STORED)) == (False, True)


def test_a_session_is_ended_by_the_handle_that_its_owner_was_shown(people: People, rotate: Rotate) -> None:
    person = people.add()
    other = people.client_of(person.id)
    shown = person.get("/api/user/sessions").json["data"]["items"]
    [handle] = [each["id"] for each in shown if not each["is_current"]]
    rotate(True)
    assert other.get("/api/vip/me").status_code == 200
    assert person.client.delete(f"/api/user/sessions/{handle}").status_code == 200
    assert other.get("/api/vip/me").status_code == 401


def test_a_proof_of_work_counts_after_the_change(app: Flask, monkeypatch: pytest.MonkeyPatch, rotate: Rotate) -> None:
    monkeypatch.setitem(app.config, "PROOF_OF_WORK_TRIES", 100)
    with app.app_context():
        proof = solve(proof_of_work.create_challenge(PHONE, ADDRESS))
        rotate(True)
        assert proof_of_work.read_proof(proof, PHONE, ADDRESS)
        assert proof_of_work.read_proof(proof, "13900139000", ADDRESS) is None
        rotate(False)
        assert proof_of_work.read_proof(proof, PHONE, ADDRESS) is None
