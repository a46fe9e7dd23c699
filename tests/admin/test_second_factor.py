"""A second factor unlocks the desk in one session; it works once, and only the owner of the phone can set it up."""

import re
import time
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select

from swiper.admin import changes, second_factor, unlocks
from swiper.admin.models import OperatorAction, RecoveryCode, SecondFactor
from swiper.admin.views import unlock
from swiper.errors import CodeError
from swiper.extensions import db, redis
from swiper.profiles.operators import grant_role
from tests.admin.authenticators import post_while_locked, set_up, set_up_for, shown
from tests.admin.conftest import AdminClient
from tests.factories import People, at_once, session_id_of

AddOperator = Callable[..., AdminClient]


@pytest.fixture
def locked(add_operator: AddOperator) -> AdminClient:
    """An operator whose session has not unlocked the desk."""
    return add_operator(is_unlocked=False)


def test_an_operator_is_redirected_to_unlock_and_back(app: Flask, locked: AdminClient) -> None:
    set_up_for(app, locked)
    answer = locked.get("/admin/people")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/unlock?next=/admin/people")
    assert 'value="/admin/people"' in locked.read("/admin/unlock", next="/admin/people")
    answer = post_while_locked(locked, code=shown(app, locked, 1), next="/admin/people")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/people")
    assert locked.get("/admin/people").status_code == 200


@pytest.mark.parametrize(
    "path", ["https://evil.example/", "//evil.example", "/admin//evil.example", "/\\evil", "x", ""]
)
def test_unlocking_redirects_to_pages_of_the_desk_alone(app: Flask, locked: AdminClient, path: str) -> None:
    set_up_for(app, locked)
    answer = post_while_locked(locked, code=shown(app, locked, 1), next=path)
    assert answer.headers["Location"] == "/admin"


def test_a_change_while_locked_is_told_that_it_needs_a_code(locked: AdminClient) -> None:
    answer = locked.client.post("/admin/bans", data={"network": "203.0.113.9"})
    assert answer.status_code == 403
    assert "fresh code" in answer.text


def test_the_desk_is_open_in_this_session_alone(app: Flask, people: People, locked: AdminClient) -> None:
    set_up_for(app, locked)
    post_while_locked(locked, code=shown(app, locked, 1))
    other = AdminClient(locked.person)
    other.client = people.client_of(locked.id)
    assert locked.get("/admin").status_code == 200
    assert other.get("/admin").status_code == 303


def test_the_desk_closes_after_its_hours_and_by_the_operator_s_wish(app: Flask, admin: AdminClient) -> None:
    with app.app_context():
        [key] = redis.client.keys(f"{{u:{admin.id}}}:desk:*")
        assert 11.9 * 3600 < redis.client.ttl(key) <= 12 * 3600
    assert admin.post("/admin/lock").status_code == 303
    assert admin.get("/admin").status_code == 303


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_clocks_may_be_off_by_one_step(app: Flask, locked: AdminClient, steps: int) -> None:
    with app.app_context():
        set_up(locked.id)
        db.session.get_one(SecondFactor, locked.id).last_step = 0
        db.session.commit()
    assert post_while_locked(locked, code=shown(app, locked, steps)).status_code == 303


def test_no_code_is_taken_twice_nor_one_before_it(app: Flask, locked: AdminClient) -> None:
    set_up_for(app, locked)
    code, older = shown(app, locked, 1), shown(app, locked, 0)
    assert post_while_locked(locked, code=code).status_code == 303
    locked.post("/admin/lock")
    for again in (code, older):
        assert post_while_locked(locked, code=again).status_code == 400
    assert locked.get("/admin").status_code == 303


def test_one_code_opens_once_however_many_ask_at_once(app: Flask, locked: AdminClient) -> None:
    set_up_for(app, locked)
    code = shown(app, locked, 1)

    def take() -> bool:
        with app.app_context():
            try:
                changes.check_second_factor(locked.id, code)
            except CodeError:
                return False
            finally:
                db.session.remove()
            return True

    assert sum(at_once([take] * 8)) == 1


def test_a_recovery_code_opens_once_in_any_spelling(app: Flask, locked: AdminClient) -> None:
    codes = set_up_for(app, locked)
    assert len(set(codes)) == 10
    spelled = f" {codes[0][:5].upper()}-{codes[0][5:]} "
    assert post_while_locked(locked, code=spelled).status_code == 303
    locked.post("/admin/lock")
    assert post_while_locked(locked, code=codes[0]).status_code == 400
    assert post_while_locked(locked, code=codes[1]).status_code == 303


def test_guesses_are_few(app: Flask, locked: AdminClient) -> None:
    set_up_for(app, locked)
    statuses = [post_while_locked(locked, code="000000").status_code for _ in range(second_factor.ATTEMPTS + 1)]
    assert statuses == [400] * second_factor.ATTEMPTS + [429]
    assert post_while_locked(locked, code=shown(app, locked, 1)).status_code == 429


def test_a_new_operator_sets_up_an_authenticator_with_a_code_to_their_phone(
    app: Flask, people: People, locked: AdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unlock, "FRESH_SECONDS", 0)
    assert "login code goes to your own phone" in locked.read("/admin/unlock")
    assert post_while_locked(locked, "/admin/unlock/send").status_code == 200
    page = post_while_locked(locked, "/admin/unlock/begin", code=people.sent_code()).text
    [secret] = re.findall(r"<code>([A-Z2-7]{32})</code>", page)
    assert "<svg" in page
    page = post_while_locked(locked, "/admin/unlock/confirm", code=shown(app, locked)).text
    codes = re.findall(r"<li><code>([0-9a-f]{10})</code></li>", page)
    assert len(codes) == 10
    assert locked.get("/admin").status_code == 200
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
    admin = AdminClient(person)
    page = post_while_locked(admin, "/admin/unlock/begin").text
    assert re.findall(r"<code>([A-Z2-7]{32})</code>", page)
    assert post_while_locked(admin, "/admin/unlock/confirm", code=shown(app, admin)).status_code == 200
    assert admin.get("/admin").status_code == 200


def test_a_stolen_session_sets_nothing_up(app: Flask, locked: AdminClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unlock, "FRESH_SECONDS", 0)
    assert post_while_locked(locked, "/admin/unlock/begin").status_code == 403
    assert post_while_locked(locked, "/admin/unlock/begin", code="000000").status_code == 400
    assert post_while_locked(locked, "/admin/unlock/confirm", code="000000").status_code == 404
    with app.app_context():
        assert db.session.get(SecondFactor, locked.id) is None


def test_an_authenticator_in_use_is_not_replaced_while_locked(app: Flask, people: People, locked: AdminClient) -> None:
    set_up_for(app, locked)
    for path in ("/admin/unlock/send", "/admin/unlock/begin", "/admin/unlock/confirm"):
        assert post_while_locked(locked, path, code="000000").status_code == 404, path


def test_the_role_takes_the_authenticator_with_it(app: Flask, people: People, admin: AdminClient) -> None:
    set_up_for(app, admin)
    with app.app_context():
        changes.revoke_role(None, admin.person.phone)
        assert db.session.get(SecondFactor, admin.id) is None
        assert db.session.scalars(select(RecoveryCode)).all() == []


def test_a_lost_authenticator_is_deleted_by_the_command(app: Flask, locked: AdminClient) -> None:
    assert "Next step" in locked.read("/admin/unlock")
    set_up_for(app, locked)
    runner = app.test_cli_runner()
    result = runner.invoke(args=["reset-second-factor", locked.person.phone])
    assert (result.exit_code, "forgotten" in result.output) == (0, True)
    assert runner.invoke(args=["reset-second-factor", locked.person.phone]).exit_code == 1
    assert "Next step" in locked.read("/admin/unlock")


def reset_by_command(admin: AdminClient) -> None:
    changes.reset_second_factor(None, admin.person.phone)


def revoke_and_grant_role(admin: AdminClient) -> None:
    changes.revoke_role(None, admin.person.phone)
    changes.grant_role(None, admin.person.phone)


@pytest.mark.parametrize("forget", [reset_by_command, revoke_and_grant_role])
def test_a_desk_closes_with_the_factor_that_opened_it(
    app: Flask, people: People, locked: AdminClient, forget: Callable[[AdminClient], None]
) -> None:
    set_up_for(app, locked)
    post_while_locked(locked, code=shown(app, locked, 1))
    assert locked.get("/admin").status_code == 200
    with app.app_context():
        forget(locked)
    assert locked.get("/admin").status_code == 303
    # The authenticator that follows, set up in another session, does not open it again.
    set_up_for(app, locked)
    assert locked.get("/admin").status_code == 303


def test_another_secret_key_opens_nothing_and_breaks_nothing(
    app: Flask, locked: AdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up_for(app, locked)
    code = shown(app, locked, 1)
    with app.app_context():
        monkeypatch.setitem(app.config, "SECRET_KEY", "another key of more than 32 characters")
        with pytest.raises(CodeError):
            second_factor.check(locked.id, code)


def test_steps_are_those_of_the_clock(app: Flask, locked: AdminClient) -> None:
    set_up_for(app, locked)
    with app.app_context():
        factor = db.session.get_one(SecondFactor, locked.id)
        assert abs(factor.last_step - int(time.time()) // 30) <= 2


def test_closing_is_for_one_session(app: Flask, people: People, admin: AdminClient) -> None:
    other = people.client_of(admin.id)
    with app.app_context():
        unlocks.unlock(admin.id, session_id_of(other))
        unlocks.lock(admin.id, session_id_of(other))
        assert not unlocks.is_unlocked(admin.id, session_id_of(other))
    assert admin.get("/admin").status_code == 200
