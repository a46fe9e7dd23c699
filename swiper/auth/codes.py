"""Issues login codes within budgets, and sends them from an encrypted outbox.

Redis decides which code is valid. The database only has the codes that are not sent yet, encrypted.
"""

import logging
import secrets
from datetime import timedelta
from typing import Any

from swiper import sms
from swiper.auth import code_budgets, queries
from swiper.auth.challenges import (
    NEW,
    REFUSED,
    Asker,
    Delivery,
    Issue,
    IssuedCode,
    code_digests,
    is_open,
    live_codes,
    new_challenge,
    store_code,
    withdraw_code,
)
from swiper.auth.code_budgets import Spending
from swiper.auth.destinations import find_country
from swiper.auth.devices import is_known_device
from swiper.clock import now
from swiper.db.statements import read, write
from swiper.db.transactions import transactional
from swiper.encryption import seal, unseal
from swiper.errors import ParamError
from swiper.extensions import this_app
from swiper.ids import new_id
from swiper.signals import code_issued
from swiper.sms.phone_numbers import parse_phone

log = logging.getLogger(__name__)

# A claim lasts this much longer than the time-outs of the providers.
CLAIM_MARGIN_SECONDS = 4.0
# One sweep takes at most this number of codes.
SWEEP_ROWS = 500
# The purpose for `seal`.
OUTBOX = "sms outbox"


def issue_code(
    phonenum: str,
    remote_addr: str,
    *,
    challenge: str = "",
    devices: str = "",
    proof: str = "",
    purpose: str = "login",
    is_own: bool = False,
) -> IssuedCode:
    """Make a code for a number and put it into the outbox, or let the client use the code that was sent last.

    `challenge` and `devices` are the cookies of this client, `proof` is a solved proof of work. A code is valid for its
    `purpose` only. `is_own` is true if the number's account is logged in.

    Raises ParamError for a bad number or one that codes are not sent to, RateLimitedError if a budget is used up, and
    ChallengeError if a proof of work is needed. After an error, the counts are as before and no new code is valid.
    """
    phone = parse_phone(phonenum)
    country, is_own = find_country(phone), is_own or is_known_device(devices, phone)
    if not sms.can_send_to(phone):
        raise ParamError(errors={"phonenum": ["No provider sends to this country."]})
    asker = Asker(challenge, code_budgets.network_digests(remote_addr), is_own)
    spending = code_budgets.spend(phone, country, remote_addr, proof, is_own=is_own)
    issue: Issue | None = None
    try:
        is_for_nobody = spending.is_accounts_only and not _apply_reserve(spending, phone)
        code, fresh = f"{secrets.randbelow(1_000_000):06d}", new_challenge()
        issue = store_code(phone, code, purpose, fresh, asker)
        if issue.kind == REFUSED:
            code_budgets.require_no_wait(issue.wait_ms)
        outbox_id = _put_into_outbox(phone, code, purpose, is_for_nobody) if issue.kind == NEW else None
    except Exception:
        _take_back(phone, issue, spending)
        raise
    return _announce(issue, spending, fresh, outbox_id)


def _apply_reserve(spending: Spending, phone: str) -> bool:
    (rows,) = read((queries.UID_OF_PHONE, {"phone": phone}))
    has_account = bool(rows)
    code_budgets.apply_reserve(spending, has_account)
    return has_account


def _take_back(phone: str, issue: Issue | None, spending: Spending) -> None:
    """Undo a request that failed. If Redis is not available, the counters expire by themselves."""
    code_budgets.give_back(spending)
    if issue is not None and issue.kind == NEW:
        try:
            withdraw_code(phone, issue.code_id)
        except Exception as error:
            log.warning("a code could not be taken back: %s", type(error).__name__)


def _announce(issue: Issue, spending: Spending, challenge: str, outbox_id: int | None) -> IssuedCode:
    delivery = Delivery.ACCOUNTS_ONLY if spending.is_accounts_only else Delivery.SENT
    if outbox_id is None:
        code_budgets.give_back(spending)
        delivery = Delivery.SENT_BEFORE
    else:
        code_issued.send(None, outbox_id=outbox_id)
    return IssuedCode(outbox_id, challenge, -(-issue.lives_ms // 1000), -(-issue.wait_ms // 1000), delivery)


def _put_into_outbox(phone: str, code: str, purpose: str, is_for_nobody: bool) -> int:
    """Store what the task needs to send the code. A row with `is_for_nobody` is never sent, but takes the same time."""
    moment, lifetime = now(), timedelta(seconds=this_app().config["CODE_TTL_SECONDS"])
    row: dict[str, Any] = {
        "phone": phone,
        "sealed_code": seal(OUTBOX, _to_seal(code, purpose)),
        "claimed_until": moment + lifetime if is_for_nobody else moment,
        "expires_at": moment + lifetime,
    }
    while True:
        outbox_id = new_id()
        (((stored,),),) = write("put_into_outbox", (queries.PUT_INTO_OUTBOX, row | {"id": outbox_id}))
        if stored == row["sealed_code"]:
            return outbox_id
        # Another process has drawn the same id in the same millisecond.
        log.info("the outbox has another code under a new id; the next id is tried")


def _to_seal(code: str, purpose: str) -> str:
    # The previous release only knows codes for logins.
    return code if purpose == "login" else f"{code} {purpose}"


def deliver_code(outbox_id: int) -> bool:
    """Send one waiting code and delete its row. Return False if the row is gone or another worker has claimed it.

    A code that is no longer valid is not sent. Raises sms.SmsError if every provider failed; the row then stays, and
    the same code is tried again.
    """
    claimed = _claim(outbox_id)
    if claimed is None:
        return False
    phone, sealed = claimed
    code, _, purpose = (sealed or "").partition(" ")
    try:
        if code and _is_current(phone, code, purpose or "login"):
            sms.send_sms(phone, code)
    except Exception:
        _unclaim(outbox_id)
        raise
    _delete_waiting_code(outbox_id)
    return True


def _is_current(phone: str, code: str, purpose: str) -> bool:
    """Return False if the code was used, has expired or was replaced, so that it must not be sent any more."""
    digests = code_digests(phone, code, purpose)
    return any(known["digest"] in digests and is_open(known) for known in live_codes(phone))


def claim_seconds() -> float:
    """Return for how long a worker claims a code. If the worker is killed, the sweep sends the code after this time."""
    providers: list[sms.SmsProvider] = this_app().extensions["sms"]
    # Each may need its time-out twice: to connect, and to answer.
    return CLAIM_MARGIN_SECONDS + 2 * sum(provider.timeout_seconds for provider in providers)


@transactional
def _claim(outbox_id: int) -> tuple[str, str | None] | None:
    """Claim a waiting row for `claim_seconds`. Return its number and its code with the purpose, or None.

    The code is None if it cannot be decrypted.
    """
    moment = now()
    row = queries.lock_waiting_code(outbox_id)
    if row is None or row.claimed_until > moment or row.expires_at <= moment:
        return None
    row.claimed_until = moment + timedelta(seconds=claim_seconds())
    return row.phone, _unseal(row.sealed_code)


def _unseal(sealed_code: str) -> str | None:
    text = unseal(OUTBOX, sealed_code)
    if text is None:
        # The stored digest needs the same key, so nobody could log in with this code.
        log.warning("a code was sealed under a key that is neither SECRET_KEY nor a fallback, and is not sent")
    return text


@transactional
def _unclaim(outbox_id: int) -> None:
    queries.release_waiting_code(outbox_id, now())


_delete_waiting_code = transactional(queries.delete_waiting_code)


def unsent_codes() -> list[int]:
    """Return the ids of at most `SWEEP_ROWS` codes that wait and that nobody is sending at this moment."""
    return queries.unclaimed_code_ids(now(), SWEEP_ROWS)


@transactional
def purge_outbox() -> None:
    """Delete the codes that have expired unsent."""
    queries.delete_expired_codes(now())
