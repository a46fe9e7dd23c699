"""An operator's second factor: a time-based code of an authenticator (RFC 6238), or one of ten recovery codes."""

import secrets
import time

import pyotp
from sqlalchemy import delete, update

from swiper.admin.models import RecoveryCode, SecondFactor
from swiper.auth.challenges import parse_code
from swiper.auth.code_budgets import count_below
from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.db.upsert import changed_a_row, insert_if_absent, upsert
from swiper.encryption import keyed_digest, seal, unseal
from swiper.errors import CodeError, NotFoundError
from swiper.extensions import db
from swiper.profiles.models import User

PURPOSE = "second factor"
ISSUER = "Swiper"
RECOVERY_CODES = 10
RECOVERY_BYTES = 5
# Clocks of phones may be off by one step of 30 s.
STEPS_OFF = 1
ATTEMPTS = 10
WINDOW_MS = 15 * 60_000


def has_factor(uid: int) -> bool:
    """True once the operator has confirmed an authenticator."""
    factor = db.session.get(SecondFactor, uid, populate_existing=True)
    return factor is not None and factor.confirmed_at is not None


def fingerprint_of(uid: int) -> str:
    """A digest of the operator's second factor, which changes with it; empty where none is confirmed."""
    factor = db.session.get(SecondFactor, uid, populate_existing=True)
    if factor is None or factor.confirmed_at is None:
        return ""
    return keyed_digest(PURPOSE, factor.sealed_secret)[:32]


@transactional
def begin(uid: int) -> str:
    """Store a new secret, not yet confirmed, and return it in base 32. Raises NotFoundError where one is confirmed."""
    _lock_user(uid)
    if has_factor(uid):
        raise NotFoundError()
    secret = pyotp.random_base32()
    row = {"uid": uid, "sealed_secret": seal(PURPOSE, secret), "confirmed_at": None, "last_step": 0}
    upsert(SecondFactor, [row], ["uid"], lambda _, new: {"sealed_secret": new.sealed_secret})
    return secret


def address_of(secret: str, nickname: str) -> str:
    """The `otpauth://` address that authenticators read."""
    return pyotp.TOTP(secret).provisioning_uri(name=nickname, issuer_name=ISSUER)


@transactional
def confirm(uid: int, code: str) -> list[str]:
    """Activate the secret, since its authenticator shows `code`; returns ten recovery codes, which are shown once.

    Raises CodeError for a wrong code, NotFoundError where there is no secret to confirm.
    """
    _lock_user(uid)
    factor = db.session.get(SecondFactor, uid, populate_existing=True)
    if factor is None or factor.confirmed_at is not None:
        raise NotFoundError()
    if not _take_step(uid, _step_of(factor, code)):
        raise CodeError()
    db.session.execute(update(SecondFactor).where(SecondFactor.uid == uid).values(confirmed_at=now()))
    codes = [secrets.token_hex(RECOVERY_BYTES) for _ in range(RECOVERY_CODES)]
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.uid == uid))
    rows = [{"uid": uid, "digest": _digest(uid, each)} for each in codes]
    insert_if_absent(RecoveryCode, rows, ["uid", "digest"])
    return codes


@transactional
def check(uid: int, code: str) -> str:
    """Take a code of the authenticator or a recovery code, either once, and say which it was. Raises CodeError."""
    factor = db.session.get(SecondFactor, uid, populate_existing=True)
    if factor is None or factor.confirmed_at is None:
        raise CodeError()
    if _take_step(uid, _step_of(factor, code)):
        return "authenticator"
    mine = delete(RecoveryCode).where(RecoveryCode.uid == uid, RecoveryCode.digest == _digest(uid, code))
    if not changed_a_row(mine):
        raise CodeError()
    return "recovery code"


@transactional
def reset(uid: int) -> bool:
    """Forget the authenticator and the recovery codes; False where there were none."""
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.uid == uid))
    return changed_a_row(delete(SecondFactor).where(SecondFactor.uid == uid))


def count_attempt(uid: int) -> None:
    """Count one attempt against the operator. Raises RateLimitedError after `ATTEMPTS` within 15 minutes."""
    count_below(f"{{u:{uid}}}:desk-attempts", ATTEMPTS, WINDOW_MS)


def _lock_user(uid: int) -> None:
    if db.session.get(User, uid, with_for_update=True, populate_existing=True) is None:
        raise NotFoundError()


def _step_of(factor: SecondFactor, code: str) -> int | None:
    """The time step whose code this is; None for a wrong one."""
    secret, digits = unseal(PURPOSE, factor.sealed_secret), parse_code(code)
    if secret is None or digits is None:
        return None
    totp = pyotp.TOTP(secret)
    current = int(time.time()) // totp.interval
    steps = range(current - STEPS_OFF, current + STEPS_OFF + 1)
    return next((step for step in steps if pyotp.utils.strings_equal(totp.generate_otp(step), digits)), None)


def _take_step(uid: int, step: int | None) -> bool:
    """True for whoever takes this step first: no code is taken twice, nor one that is older than the last."""
    if step is None:
        return False
    later = update(SecondFactor).where(SecondFactor.uid == uid, SecondFactor.last_step < step)
    return changed_a_row(later.values(last_step=step))


def _digest(uid: int, code: str) -> str:
    return keyed_digest("recovery code", f"{uid}:{code.strip().lower().replace('-', '').replace(' ', '')}")
