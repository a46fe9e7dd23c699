"""The operator's desk stays open when SECRET_KEY has moved into SECRET_KEY_FALLBACKS; `flask rotate-keys`."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from swiper.admin import key_rotation, second_factor
from swiper.admin.models import SecondFactor
from swiper.admin.queries import second_factors as queries
from swiper.encryption import seal
from swiper.extensions import db
from tests.admin.authenticators import post_while_locked, set_up_for, shown
from tests.admin.conftest import TOKEN, AdminClient
from tests.rotation import Rotate, rotation_of


@pytest.fixture
def rotate(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Rotate:
    return rotation_of(app, monkeypatch)


@pytest.fixture
def locked(add_operator: Callable[..., AdminClient]) -> AdminClient:
    """An operator whose session has not unlocked the desk."""
    return add_operator(is_unlocked=False)


def sealed(app: Flask) -> list[str]:
    with app.app_context():
        rows = db.session.scalars(db.select(SecondFactor).order_by(SecondFactor.uid))
        return [row.sealed_secret for row in rows]


def add_factors(app: Flask, count: int) -> None:
    with app.app_context():
        for uid in range(1, count + 1):
            db.session.add(
                SecondFactor(uid=uid, sealed_secret=seal(second_factor.PURPOSE, f"SECRET{uid}"), last_step=0)
            )
        db.session.commit()


def test_an_authenticator_and_recovery_codes_of_the_former_key_unlock_the_desk(
    app: Flask, locked: AdminClient, rotate: Rotate
) -> None:
    recovery, _ = set_up_for(app, locked)[:2]
    code = shown(app, locked, 1)
    rotate(True)
    assert post_while_locked(locked, code=code).status_code == 303
    assert locked.post("/admin/lock").status_code == 303
    assert locked.get("/admin").status_code == 303
    assert post_while_locked(locked, code=recovery).status_code == 303
    assert locked.get("/admin").status_code == 200


def test_an_unlocked_desk_and_its_forms_go_on_and_are_locked_under_every_key(
    app: Flask, locked: AdminClient, rotate: Rotate, runner: FlaskCliRunner
) -> None:
    set_up_for(app, locked)
    assert post_while_locked(locked, code=shown(app, locked, 1)).status_code == 303
    token = locked.token()
    rotate(True)
    assert runner.invoke(args=["rotate-keys"]).exit_code == 0
    answer = locked.client.post("/admin/bans", data={"network": "203.0.113.9", "form_token": token})
    assert answer.status_code == 303, answer.text
    fresh = TOKEN.search(locked.read("/admin/people"))
    assert fresh
    rotate(False)
    assert locked.get("/admin").status_code == 303
    rotate(True)
    assert locked.post("/admin/lock").status_code == 303
    assert locked.get("/admin").status_code == 303


def test_after_rotate_keys_authenticators_need_the_new_key_alone(
    app: Flask, locked: AdminClient, rotate: Rotate, runner: FlaskCliRunner
) -> None:
    set_up_for(app, locked)
    add_factors(app, 1)
    code = shown(app, locked, 1)
    rotate(True)
    first = runner.invoke(args=["rotate-keys"])
    assert (first.exit_code, first.output.splitlines()[0]) == (
        0,
        "Secrets of authenticators: 2 encrypted with the new key, 0 were already, 0 are opened by no key.",
    )
    assert first.output.splitlines()[1].startswith("Recovery codes: 10;")
    before = sealed(app)
    again = runner.invoke(args=["rotate-keys"])
    assert "0 encrypted with the new key, 2 were already, 0 are opened" in again.output
    assert sealed(app) == before
    rotate(False)
    assert post_while_locked(locked, code=code).status_code == 303


def test_a_secret_that_no_key_opens_is_counted_and_left_alone(
    app: Flask, rotate: Rotate, runner: FlaskCliRunner
) -> None:
    add_factors(app, 1)
    before = sealed(app)
    rotate(False)
    assert "0 were already, 1 are opened by no key" in runner.invoke(args=["rotate-keys"]).output
    assert sealed(app) == before


def test_an_interrupted_rotation_keeps_its_batches_and_goes_on(
    app: Flask, rotate: Rotate, runner: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_rotation, "BATCH", 2)
    add_factors(app, 5)
    rotate(True)
    real = queries.replace_sealed_secret

    def interrupted(uid: int, *args: Any) -> bool:
        if uid == 4:
            raise KeyboardInterrupt
        return real(uid, *args)

    with monkeypatch.context() as patch:
        patch.setattr(queries, "replace_sealed_secret", interrupted)
        assert runner.invoke(args=["rotate-keys"]).exit_code == 1
    assert "3 encrypted with the new key, 2 were already" in runner.invoke(args=["rotate-keys"]).output


def test_a_secret_that_was_replaced_meanwhile_stays(app: Flask, rotate: Rotate) -> None:
    add_factors(app, 1)
    former = sealed(app)
    rotate(True)
    with app.app_context():
        assert not queries.replace_sealed_secret(1, "another", seal(second_factor.PURPOSE, "x"))
        db.session.commit()
    assert sealed(app) == former
