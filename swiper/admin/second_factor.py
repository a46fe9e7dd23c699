"""An operator's second factor: a code of an authenticator app (TOTP, RFC 6238), or one of ten recovery codes."""

import secrets
import time

import pyotp

from swiper.admin.models import SecondFactor
from swiper.admin.queries import second_factors as queries
from swiper.auth.challenges import parse_code
from swiper.auth.code_budgets import count_below
from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.encryption import keyed_digests, seal, unseal
from swiper.errors import CodeError, NotFoundError
from swiper.extensions import redis
from swiper.profiles.queries.people import lock_user

PURPOSE = "second factor"
ISSUER = "Swiper"
RECOVERY_CODES = 10
RECOVERY_BYTES = 5
# The clock of a phone may be wrong by one time step, which is 30 s.
STEPS_OFF = 1
ATTEMPTS = 10
WINDOW_MS = 15 * 60_000


def has_factor(uid: int) -> bool:
    """True once the operator has confirmed an authenticator."""
    return _confirmed_factor(uid) is not None


def _confirmed_factor(uid: int) -> SecondFactor | None:
    factor = queries.find_factor(uid)
    return factor if factor is not None and factor.confirmed_at is not None else None


def digests_of(uid: int) -> list[str]:
    """The digests by all keys of the operator's second factor, which change with it; one empty text without a factor.

    They are made of the secret itself: encrypted anew by `flask rotate-keys`, it is still the same factor.
    """
    factor = _confirmed_factor(uid)
    secret = unseal(PURPOSE, factor.sealed_secret) if factor is not None else None
    return [digest[:32] for digest in keyed_digests(PURPOSE, f"{uid}:{secret}")] if secret else [""]


@transactional
def begin(uid: int) -> str:
    """Store a new secret that is not confirmed yet, and return it in base 32.

    Raises NotFoundError if a second factor is confirmed already, or the account is gone.
    """
    _lock_user(uid)
    if has_factor(uid):
        raise NotFoundError()
    secret = pyotp.random_base32()
    queries.store_unconfirmed_factor(uid, seal(PURPOSE, secret))
    return secret


def otpauth_url(secret: str, nickname: str) -> str:
    """The `otpauth://` URL that authenticator apps read."""
    return pyotp.TOTP(secret).provisioning_uri(name=nickname, issuer_name=ISSUER)


@transactional
def confirm(uid: int, code: str) -> list[str]:
    """Confirm the secret of `begin` by a code of its authenticator, and return ten new recovery codes.

    Only digests of these are stored. Raises CodeError for a wrong code, NotFoundError without an unconfirmed secret.
    """
    _lock_user(uid)
    factor = queries.find_factor(uid)
    if factor is None or factor.confirmed_at is not None:
        raise NotFoundError()
    if not _use_step(uid, _step_of(factor, code)):
        raise CodeError()
    queries.confirm_factor(uid, now())
    codes = [secrets.token_hex(RECOVERY_BYTES) for _ in range(RECOVERY_CODES)]
    queries.replace_recovery_codes(uid, [_digests(uid, each)[0] for each in codes])
    return codes


@transactional
def check(uid: int, code: str) -> str:
    """Accept a code of the authenticator, or a recovery code, once; returns which it was, for the log.

    Raises CodeError.
    """
    factor = _confirmed_factor(uid)
    if factor is None:
        raise CodeError()
    if _use_step(uid, _step_of(factor, code)):
        return "authenticator"
    if not any(queries.use_recovery_code(uid, digest) for digest in _digests(uid, code)):
        raise CodeError()
    return "recovery code"


@transactional
def reset(uid: int) -> bool:
    """Delete the authenticator and the recovery codes; False if there was no authenticator."""
    queries.replace_recovery_codes(uid, [])
    return queries.delete_factor(uid)


def count_attempt(uid: int) -> None:
    """Count an attempt of the operator. Raises RateLimitedError after `ATTEMPTS` within 15 minutes."""
    count_below(redis.key(f"{{u:{uid}}}:desk-attempts"), ATTEMPTS, WINDOW_MS)


def _lock_user(uid: int) -> None:
    if lock_user(uid) is None:
        raise NotFoundError()


def _step_of(factor: SecondFactor, code: str) -> int | None:
    """The time step whose code this is; None for a wrong code."""
    secret, digits = unseal(PURPOSE, factor.sealed_secret), parse_code(code)
    if secret is None or digits is None:
        return None
    totp = pyotp.TOTP(secret)
    current = int(time.time()) // totp.interval
    steps = range(current - STEPS_OFF, current + STEPS_OFF + 1)
    return next((step for step in steps if pyotp.utils.strings_equal(totp.generate_otp(step), digits)), None)


def _use_step(uid: int, step: int | None) -> bool:
    """True for the first use of a step. A used step and all earlier ones are refused."""
    return step is not None and queries.advance_step(uid, step)


def _digests(uid: int, code: str) -> list[str]:
    return keyed_digests("recovery code", f"{uid}:{code.strip().lower().replace('-', '').replace(' ', '')}")
