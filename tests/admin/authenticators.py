"""An operator's authenticator app, and the forms that take its codes."""

import time

import pyotp
from flask import Flask
from werkzeug.test import TestResponse

from swiper.admin import second_factor
from swiper.admin.models import SecondFactor
from swiper.encryption import unseal
from swiper.extensions import db
from tests.admin.conftest import TOKEN, AdminClient

STEP_SECONDS = 30


def code_of(uid: int, steps: int = 0) -> str:
    """What the operator's authenticator shows now, or will show some steps later. Needs an application context."""
    factor = db.session.get_one(SecondFactor, uid, populate_existing=True)
    secret = unseal(second_factor.PURPOSE, factor.sealed_secret)
    assert secret
    return pyotp.TOTP(secret).at(int(time.time()) + steps * STEP_SECONDS)


def set_up(uid: int) -> list[str]:
    """Set up an authenticator; the recovery codes. Needs an application context."""
    second_factor.begin(uid)
    return second_factor.confirm(uid, code_of(uid))


def token_of_unlock_page(admin: AdminClient) -> str:
    """The form token of the page that unlocks the desk."""
    found = TOKEN.search(admin.read("/admin/unlock"))
    assert found
    return found[1]


def post_while_locked(admin: AdminClient, path: str = "/admin/unlock", **form: str) -> TestResponse:
    """Send a form that an operator may send before the desk is unlocked."""
    return admin.client.post(path, data=form | {"form_token": token_of_unlock_page(admin)})


def set_up_for(app: Flask, admin: AdminClient) -> list[str]:
    """Set up the operator's authenticator; returns the recovery codes."""
    with app.app_context():
        codes = set_up(admin.id)
        db.session.remove()
    return codes


def shown(app: Flask, admin: AdminClient, steps: int = 0) -> str:
    """What the operator's authenticator shows now, or will show some steps later."""
    with app.app_context():
        return code_of(admin.id, steps)
