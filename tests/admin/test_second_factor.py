"""The door of the desk: a second factor for each session, taken once, and set up by whoever holds the phone."""

import re
import time
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select

from swiper.admin import changes, opening, second_factor
from swiper.admin.models import OperatorAction, RecoveryCode, SecondFactor
from swiper.admin.views import unlock
from swiper.errors import CodeError
from swiper.extensions import db, redis
from swiper.profiles.operators import grant_role
from tests.admin.authenticators import code_of, set_up
from tests.admin.conftest import TOKEN, Desk
from tests.factories import People, at_once, sid_of

Hire = Callable[..., Desk]


@pytest.fixture
def outside(hire: Hire) -> Desk:
    """An operator whose session has not opened the desk."""
    return hire(is_open=False)


def token_at_the_door(desk: Desk) -> str:
    found = TOKEN.search(desk.read("/admin/unlock"))
    assert found
    return found[1]


def at_the_door(desk: Desk, path: str = "/admin/unlock", **form: str):  # type: ignore[no-untyped-def]
    return desk.client.post(path, data=form | {"form_token": token_at_the_door(desk)})


def set_up_for(app: Flask, desk: Desk) -> list[str]:
    with app.app_context():
        codes = set_up(desk.id)
        db.session.remove()
    return codes


def shown(app: Flask, desk: Desk, steps: int = 0) -> str:
    with app.app_context():
        return code_of(desk.id, steps)


def test_an_operator_is_led_to_the_door_and_back(app: Flask, outside: Desk) -> None:
    set_up_for(app, outside)
    answer = outside.get("/admin/people")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/unlock?next=/admin/people")
    assert 'value="/admin/people"' in outside.read("/admin/unlock", next="/admin/people")
    answer = at_the_door(outside, code=shown(app, outside, 1), next="/admin/people")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/people")
    assert outside.get("/admin/people").status_code == 200


@pytest.mark.parametrize(
    "path", ["https://evil.example/", "//evil.example", "/admin//evil.example", "/\\evil", "x", ""]
)
def test_the_door_leads_to_pages_of_the_desk_alone(app: Flask, outside: Desk, path: str) -> None:
    set_up_for(app, outside)
    answer = at_the_door(outside, code=shown(app, outside, 1), next=path)
    assert answer.headers["Location"] == "/admin"


def test_a_change_before_the_door_is_told_that_it_needs_a_code(outside: Desk) -> None:
    answer = outside.client.post("/admin/bans", data={"network": "203.0.113.9"})
    assert answer.status_code == 403
    assert "fresh code" in answer.text


def test_the_desk_is_open_in_this_session_alone(app: Flask, people: People, outside: Desk) -> None:
    set_up_for(app, outside)
    at_the_door(outside, code=shown(app, outside, 1))
    other = Desk(outside.person)
    other.client = people.client_of(outside.id)
    assert outside.get("/admin").status_code == 200
    assert other.get("/admin").status_code == 303


def test_the_desk_closes_after_its_hours_and_by_the_operator_s_wish(app: Flask, desk: Desk) -> None:
    with app.app_context():
        [key] = redis.client.keys(f"{{u:{desk.id}}}:desk:*")
        assert 11.9 * 3600 < redis.client.ttl(key) <= 12 * 3600
    assert desk.post("/admin/lock").status_code == 303
    assert desk.get("/admin").status_code == 303


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_clocks_may_be_off_by_one_step(app: Flask, outside: Desk, steps: int) -> None:
    with app.app_context():
        set_up(outside.id)
        db.session.get_one(SecondFactor, outside.id).last_step = 0
        db.session.commit()
    assert at_the_door(outside, code=shown(app, outside, steps)).status_code == 303


def test_no_code_is_taken_twice_nor_one_before_it(app: Flask, outside: Desk) -> None:
    set_up_for(app, outside)
    code, older = shown(app, outside, 1), shown(app, outside, 0)
    assert at_the_door(outside, code=code).status_code == 303
    outside.post("/admin/lock")
    for again in (code, older):
        assert at_the_door(outside, code=again).status_code == 400
    assert outside.get("/admin").status_code == 303


def test_one_code_opens_once_however_many_ask_at_once(app: Flask, outside: Desk) -> None:
    set_up_for(app, outside)
    code = shown(app, outside, 1)

    def take() -> bool:
        with app.app_context():
            try:
                changes.open_desk(outside.id, code)
            except CodeError:
                return False
            finally:
                db.session.remove()
            return True

    assert sum(at_once([take] * 8)) == 1


def test_a_recovery_code_opens_once_in_any_spelling(app: Flask, outside: Desk) -> None:
    codes = set_up_for(app, outside)
    assert len(set(codes)) == 10
    spelled = f" {codes[0][:5].upper()}-{codes[0][5:]} "
    assert at_the_door(outside, code=spelled).status_code == 303
    outside.post("/admin/lock")
    assert at_the_door(outside, code=codes[0]).status_code == 400
    assert at_the_door(outside, code=codes[1]).status_code == 303


def test_guesses_are_few(app: Flask, outside: Desk) -> None:
    set_up_for(app, outside)
    statuses = [at_the_door(outside, code="000000").status_code for _ in range(second_factor.ATTEMPTS + 1)]
    assert statuses == [400] * second_factor.ATTEMPTS + [429]
    assert at_the_door(outside, code=shown(app, outside, 1)).status_code == 429


def test_a_new_operator_sets_up_an_authenticator_with_a_code_to_their_phone(
    app: Flask, people: People, outside: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unlock, "FRESH_SECONDS", 0)
    assert "login code goes to your own phone" in outside.read("/admin/unlock")
    assert at_the_door(outside, "/admin/unlock/send").status_code == 200
    page = at_the_door(outside, "/admin/unlock/begin", code=people.sent_code()).text
    [secret] = re.findall(r"<code>([A-Z2-7]{32})</code>", page)
    assert "<svg" in page
    page = at_the_door(outside, "/admin/unlock/confirm", code=shown(app, outside)).text
    codes = re.findall(r"<li><code>([0-9a-f]{10})</code></li>", page)
    assert len(codes) == 10
    assert outside.get("/admin").status_code == 200
    with app.app_context():
        stored = [
            *db.session.scalars(select(RecoveryCode.digest)),
            *db.session.scalars(select(SecondFactor.sealed_secret)),
        ]
        logged = " ".join(db.session.scalars(select(OperatorAction.after)))
    assert not [code for code in (*codes, secret) if code in " ".join([*stored, logged])]


def test_whoever_has_just_logged_in_needs_no_second_message(app: Flask, people: People) -> None:
    person = people.log_in("13800138000")
    with app.app_context():
        grant_role(person.id)
        db.session.remove()
    desk = Desk(person)
    page = at_the_door(desk, "/admin/unlock/begin").text
    assert re.findall(r"<code>([A-Z2-7]{32})</code>", page)
    assert at_the_door(desk, "/admin/unlock/confirm", code=shown(app, desk)).status_code == 200
    assert desk.get("/admin").status_code == 200


def test_a_stolen_session_sets_nothing_up(app: Flask, outside: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unlock, "FRESH_SECONDS", 0)
    assert at_the_door(outside, "/admin/unlock/begin").status_code == 403
    assert at_the_door(outside, "/admin/unlock/begin", code="000000").status_code == 400
    assert at_the_door(outside, "/admin/unlock/confirm", code="000000").status_code == 404
    with app.app_context():
        assert db.session.get(SecondFactor, outside.id) is None


def test_an_authenticator_in_use_is_not_replaced_at_the_door(app: Flask, people: People, outside: Desk) -> None:
    set_up_for(app, outside)
    for path in ("/admin/unlock/send", "/admin/unlock/begin", "/admin/unlock/confirm"):
        assert at_the_door(outside, path, code="000000").status_code == 404, path


def test_the_role_takes_the_authenticator_with_it(app: Flask, people: People, desk: Desk) -> None:
    set_up_for(app, desk)
    with app.app_context():
        changes.revoke_role(None, desk.person.phone)
        assert db.session.get(SecondFactor, desk.id) is None
        assert db.session.scalars(select(RecoveryCode)).all() == []


def test_a_lost_authenticator_is_forgotten_by_the_command(app: Flask, outside: Desk) -> None:
    assert "Next step" in outside.read("/admin/unlock")
    set_up_for(app, outside)
    runner = app.test_cli_runner()
    result = runner.invoke(args=["reset-second-factor", outside.person.phone])
    assert (result.exit_code, "forgotten" in result.output) == (0, True)
    assert runner.invoke(args=["reset-second-factor", outside.person.phone]).exit_code == 1
    assert "Next step" in outside.read("/admin/unlock")


def reset_by_command(desk: Desk) -> None:
    changes.reset_second_factor(None, desk.person.phone)


def take_role_and_give_it_back(desk: Desk) -> None:
    changes.revoke_role(None, desk.person.phone)
    changes.grant_role(None, desk.person.phone)


@pytest.mark.parametrize("forget", [reset_by_command, take_role_and_give_it_back])
def test_a_desk_closes_with_the_factor_that_opened_it(
    app: Flask, people: People, outside: Desk, forget: Callable[[Desk], None]
) -> None:
    set_up_for(app, outside)
    at_the_door(outside, code=shown(app, outside, 1))
    assert outside.get("/admin").status_code == 200
    with app.app_context():
        forget(outside)
    assert outside.get("/admin").status_code == 303
    # The authenticator that follows, set up in another session, does not open it again.
    set_up_for(app, outside)
    assert outside.get("/admin").status_code == 303


def test_another_secret_key_opens_nothing_and_breaks_nothing(
    app: Flask, outside: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up_for(app, outside)
    code = shown(app, outside, 1)
    with app.app_context():
        monkeypatch.setitem(app.config, "SECRET_KEY", "another key of more than 32 characters")
        with pytest.raises(CodeError):
            second_factor.check(outside.id, code)


def test_opening_a_person_leaves_a_line_with_the_operator_s_name_of_that_time(
    app: Flask, people: People, hire: Hire
) -> None:
    desk, person = hire(nickname="first name"), people.add()
    desk.read(f"/admin/people/{person.id}")
    desk.person.client.post("/api/user/profile/modify", json={"nickname": "second name"})
    with app.app_context():
        [line] = db.session.scalars(select(OperatorAction).where(OperatorAction.action == "open_person"))
        assert (line.actor, line.target) == ("first name", str(person.id))
    assert "first name" in desk.read("/admin/actions")


def test_steps_are_those_of_the_clock(app: Flask, outside: Desk) -> None:
    set_up_for(app, outside)
    with app.app_context():
        factor = db.session.get_one(SecondFactor, outside.id)
        assert abs(factor.last_step - int(time.time()) // 30) <= 2


def test_closing_is_for_one_session(app: Flask, people: People, desk: Desk) -> None:
    other = people.client_of(desk.id)
    with app.app_context():
        opening.open_desk(desk.id, sid_of(other))
        opening.close_desk(desk.id, sid_of(other))
        assert not opening.is_open(desk.id, sid_of(other))
    assert desk.get("/admin").status_code == 200
