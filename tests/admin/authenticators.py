"""What an authenticator app shows an operator."""

import time

import pyotp

from swiper.admin import second_factor
from swiper.admin.models import SecondFactor
from swiper.encryption import unseal
from swiper.extensions import db

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
