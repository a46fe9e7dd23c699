"""Login codes: issued within budgets, compared and consumed by one atomic script, sent from an encrypted outbox.

Redis decides which code is valid; the database only remembers, encrypted, what has not been sent yet.
"""

import base64
import functools
import hashlib
import logging
import secrets
from datetime import timedelta
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import delete, select, update

from swiper import sms
from swiper.auth import quick
from swiper.auth.models import SmsOutbox
from swiper.auth.phones import keyed_digest, parse_phone
from swiper.bans.services import client_network
from swiper.dialect import again_on_conflict, insert_if_absent, now, quick_lane, transactional
from swiper.errors import ParamError, RateLimitedError
from swiper.extensions import db, redis, this_app
from swiper.ids import new_id
from swiper.quick_redis import once
from swiper.signals import code_issued

log = logging.getLogger(__name__)

MINUTE_MS = 60_000
DAY_MS = 86_400_000
# What a claim allows beside the waiting for the providers.
CLAIM_MARGIN_SECONDS = 4.0

# KEYS: lock, hour count, day count. ARGV: lock ms, hourly limit, daily limit. Returns 0, or ms to wait.
RESERVE_NUMBER = """
local waits = redis.call('PTTL', KEYS[1])
if waits > 0 then return waits end
for i = 2, 3 do
  if tonumber(redis.call('GET', KEYS[i]) or '0') >= tonumber(ARGV[i]) then
    return math.max(1, redis.call('PTTL', KEYS[i]))
  end
end
redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
local windows = {0, 3600000, 86400000}
for i = 2, 3 do
  if redis.call('INCR', KEYS[i]) == 1 then redis.call('PEXPIRE', KEYS[i], windows[i]) end
end
return 0
"""
# KEYS: counters. Takes one off each; a counter that ran out meanwhile would come to life again without an end.
UNCOUNT = """
for _, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or '0') > 0 then redis.call('DECR', key) end
end
return 0
"""
# KEYS: counter. ARGV: limit, window ms. Returns 0 when counted, or ms to wait.
COUNT_WITHIN = """
if tonumber(redis.call('GET', KEYS[1]) or '0') >= tonumber(ARGV[1]) then
  return math.max(1, redis.call('PTTL', KEYS[1]))
end
if redis.call('INCR', KEYS[1]) == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
"""
# KEYS: code. ARGV: digest, allowed guesses. Returns the ms that a right code still had, or 0.
REDEEM = """
local digest = redis.call('HGET', KEYS[1], 'digest')
if not digest then return 0 end
local guesses = redis.call('HINCRBY', KEYS[1], 'guesses', 1)
if digest == ARGV[1] and guesses <= tonumber(ARGV[2]) then
  local rest = redis.call('PTTL', KEYS[1])
  redis.call('DEL', KEYS[1])
  return math.max(1, rest)
end
if guesses >= tonumber(ARGV[2]) then redis.call('DEL', KEYS[1]) end
return 0
"""
# KEYS: code. ARGV: digest, ms. Stores a code in place of any other.
STORE = """
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'digest', ARGV[1], 'guesses', 0)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 0
"""
# The same unless there is one.
RESTORE = f"if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end\n{STORE}"


def _keys(phone: str) -> list[str]:
    """Lock, hour count, day count and code of one number: one hash tag, so one slot of a cluster."""
    tag = keyed_digest("phone", phone)[:32]
    return [f"{{p:{tag}}}:{part}" for part in ("lock", "hour", "day", "code")]


def _digest(phone: str, code: str) -> str:
    return keyed_digest("code", f"{phone}:{code}")


def issue_code(phonenum: str, remote_addr: str) -> int:
    """Make a code for a number and put it into the outbox; the outbox id is returned, for the task that sends it.

    Raises ParamError for a bad number or one that no provider sends to, RateLimitedError when a budget is used up.
    When anything fails on the way, the budgets are as before and no code is valid.
    """
    phone = parse_phone(phonenum)
    if not sms.can_send_to(phone):
        raise ParamError(errors={"phonenum": ["No provider sends to this country."]})
    keys, budgets = _keys(phone), _budgets(remote_addr)
    _reserve(keys, budgets)
    code = f"{secrets.randbelow(1_000_000):06d}"
    try:
        lifetime_ms = this_app().config["CODE_TTL_SECONDS"] * 1000
        redis.client.eval(STORE, 1, keys[3], _digest(phone, code), lifetime_ms)
        outbox_id = _put_into_outbox(phone, code)
    except Exception:
        _take_back(keys, [key for key, _ in budgets], is_stored=True)
        raise
    code_issued.send(None, outbox_id=outbox_id)
    return outbox_id


def _budgets(remote_addr: str) -> list[tuple[str, int]]:
    config = this_app().config
    return [
        (f"sms:ip:{_address_digest(remote_addr)}", config["SMS_PER_IP_PER_DAY"]),
        ("sms:all", config["SMS_GLOBAL_PER_DAY"]),
    ]


def count_guess(remote_addr: str) -> None:
    """Count one attempt at a login against its address. Raises RateLimitedError when the minute's are used up."""
    key = f"login:ip:{_address_digest(remote_addr)}"
    limit = this_app().config["LOGIN_PER_IP_PER_MINUTE"]
    _require_no_wait(redis.client.eval_once(COUNT_WITHIN, [key], limit, MINUTE_MS))


def _require_no_wait(milliseconds: int) -> None:
    """Raise RateLimitedError where a budget's script has answered that there is a time to wait."""
    if milliseconds:
        raise RateLimitedError(milliseconds / 1000)


def _address_digest(remote_addr: str) -> str:
    return keyed_digest("ip", client_network(remote_addr))[:32]


def _reserve(keys: list[str], budgets: list[tuple[str, int]]) -> None:
    """Count this request against the number, then the address and everybody; all or nothing."""
    config = this_app().config
    limits = (
        config["CODE_RESEND_SECONDS"] * 1000,
        config["SMS_PER_NUMBER_PER_HOUR"],
        config["SMS_PER_NUMBER_PER_DAY"],
    )
    _require_no_wait(redis.client.eval_once(RESERVE_NUMBER, keys[:3], *limits))
    counted: list[str] = []
    try:
        counts = [once(COUNT_WITHIN, [key], limit, DAY_MS) for key, limit in budgets]
        answers = redis.client.execute_together(*counts)
        counted = [key for (key, _), answer in zip(budgets, answers, strict=True) if answer == 0]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
            _require_no_wait(answer)
    except Exception:
        _take_back(keys, counted)
        raise


def _take_back(keys: list[str], counters: list[str], *, is_stored: bool = False) -> None:
    """Undo a reservation, and the code that was stored under it; where Redis is away it simply runs out."""
    lock, hour, day, code = keys
    try:
        redis.client.delete(lock, *([code] if is_stored else []))
        redis.client.eval_once(UNCOUNT, [hour, day])
        for key in counters:
            redis.client.eval_once(UNCOUNT, [key])
    except Exception as error:
        log.warning("a reservation for a code could not be taken back: %s", type(error).__name__)


def _put_into_outbox(phone: str, code: str) -> int:
    moment, lifetime = now(), timedelta(seconds=this_app().config["CODE_TTL_SECONDS"])
    row: dict[str, Any] = {
        "id": new_id(),
        "phone": phone,
        "sealed_code": _vault().encrypt(code.encode()).decode(),
        "claimed_until": moment,
        "expires_at": moment + lifetime,
    }
    lane = quick_lane()
    if lane is None:
        _add_to_outbox(row)
    else:
        again_on_conflict("put_into_outbox", lambda: (lane.ask((quick.PUT_INTO_OUTBOX, [*row.values()])), []))
    return int(row["id"])


@transactional
def _add_to_outbox(row: dict[str, Any]) -> None:
    insert_if_absent(SmsOutbox, [row], ["id"])


def _vault() -> Fernet:
    return _vault_of(str(this_app().config["SECRET_KEY"]))


@functools.lru_cache(maxsize=4)
def _vault_of(secret_key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"sms outbox:" + secret_key.encode()).digest()))


def redeem_code(phone: str, code: str) -> int:
    """Consume the code of a number: the milliseconds it still had when `code` is right, otherwise 0.

    Each call counts as a guess; after `CODE_MAX_GUESSES` the code is dead. One script compares, counts and consumes, so
    a code logs in once, however many ask at the same moment.
    """
    guesses = this_app().config["CODE_MAX_GUESSES"]
    return int(redis.client.eval_once(REDEEM, [_keys(phone)[3]], _digest(phone, code), guesses))


def restore_code(phone: str, code: str, rest_ms: int) -> None:
    """Make a redeemed code valid again for the time it had left, since its login could not be completed.

    A code that was issued meanwhile stays.
    """
    redis.client.eval(RESTORE, 1, _keys(phone)[3], _digest(phone, code), rest_ms)


def deliver_code(outbox_id: int) -> bool:
    """Send one waiting code and forget it; False when it is gone, claimed by another worker, or no longer valid.

    Raises sms.SmsError when every provider failed: the row stays, and the same code is tried again.
    """
    claimed = _claim(outbox_id)
    if claimed is None:
        return False
    phone, code = claimed
    try:
        if code is not None and _is_current(phone, code):
            sms.send_sms(phone, code)
    except Exception:
        _unclaim(outbox_id)
        raise
    _drop(outbox_id)
    return True


def _is_current(phone: str, code: str) -> bool:
    """False once the code was used, has died, or was replaced by a newer one: nobody should get it any more."""
    stored = redis.client.hget(_keys(phone)[3], "digest")
    return stored == _digest(phone, code).encode()


def claim_seconds() -> float:
    """How long one worker has a code to itself; when it dies while sending, the sweep follows after this time."""
    providers: list[sms.SmsProvider] = this_app().extensions["sms"]
    # Each may use up its time-out twice: to connect, and to answer.
    return CLAIM_MARGIN_SECONDS + 2 * sum(provider.timeout_seconds for provider in providers)


@transactional
def _claim(outbox_id: int) -> tuple[str, str | None] | None:
    """Number and code of a waiting row, which is ours for `claim_seconds`; no code where it cannot be read."""
    moment = now()
    row = db.session.get(SmsOutbox, outbox_id, with_for_update=True, populate_existing=True)
    if row is None or row.claimed_until > moment or row.expires_at <= moment:
        return None
    row.claimed_until = moment + timedelta(seconds=claim_seconds())
    return row.phone, _unseal(row.sealed_code)


def _unseal(sealed_code: str) -> str | None:
    try:
        return _vault().decrypt(sealed_code.encode()).decode()
    except InvalidToken:
        # The digest that a guess is compared to hangs on the same key, so nobody could log in with this code.
        log.warning("a code was sealed under another SECRET_KEY and is not sent")
        return None


@transactional
def _unclaim(outbox_id: int) -> None:
    db.session.execute(update(SmsOutbox).where(SmsOutbox.id == outbox_id).values(claimed_until=now()))


@transactional
def _drop(outbox_id: int) -> None:
    db.session.execute(delete(SmsOutbox).where(SmsOutbox.id == outbox_id))


def unsent_codes() -> list[int]:
    """Outbox ids that nobody is sending at this moment."""
    moment = now()
    query = select(SmsOutbox.id).where(SmsOutbox.claimed_until <= moment, SmsOutbox.expires_at > moment)
    return list(db.session.scalars(query.order_by(SmsOutbox.claimed_until).limit(500)))


@transactional
def purge_outbox() -> None:
    """Delete the codes that have run out unsent."""
    db.session.execute(delete(SmsOutbox).where(SmsOutbox.expires_at <= now()))
