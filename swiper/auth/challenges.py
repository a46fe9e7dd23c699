"""The valid codes of each number in Redis, and the challenges that allow guesses of them.

A client that asks for a code gets a challenge, which has its own count of guesses. A client without a challenge guesses
by the number alone, which has its own count too. Each of these is a "way" to the code. A code that was used through one
way is no longer valid through the others.
"""

import json
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from swiper.auth.code_scripts import ISSUE, REDEEM, RESTORE, WITHDRAW
from swiper.auth.digest_keys import move_to_current
from swiper.characters import simplify
from swiper.encryption import has_fallbacks, keyed_digests
from swiper.extensions import redis, this_app
from swiper.ids import new_id

REFUSED, NEW, SENT_BEFORE = 0, 1, 2
CODE = re.compile(r"[0-9]{6}")


@dataclass(frozen=True)
class Asker:
    """The client that asks for a code: the challenge that it got before, and the digests of its network by all keys.

    `is_own` is true for a device that has logged in to the number before.
    """

    challenge: str
    networks: list[str]
    is_own: bool


@dataclass(frozen=True)
class Issue:
    """The result of a request. `kind` is NEW, SENT_BEFORE or REFUSED; `wait_ms` is the wait for the next code."""

    kind: int
    code_id: str
    lives_ms: int
    wait_ms: int


class Delivery(StrEnum):
    """What was sent for an accepted request. Clients see these values."""

    SENT = "sent"
    # The code that was sent last is still valid, and this client may use it.
    SENT_BEFORE = "sent_before"
    # Only numbers with an account still get codes today. The answer must not reveal whether this number has one.
    ACCOUNTS_ONLY = "accounts_only"


@dataclass(frozen=True)
class IssuedCode:
    """The answer to a request for a code. `outbox_id` is for the task that sends it; None if it was sent before."""

    outbox_id: int | None
    challenge: str
    expires_in: int
    resend_in: int
    delivery: Delivery


def parse_code(text: str) -> str | None:
    """Return the six digits of a code in any usual spelling, or None if `text` cannot be a code."""
    digits = re.sub(r"[ \-]", "", simplify(text))
    return digits if CODE.fullmatch(digits) else None


def keys_of(phone: str) -> list[str]:
    """Return a number's keys of codes, resend lock, and counts by hour, day and own device. They share a hash slot."""
    return [each[0] for each in _all_keys_of(phone)]


def _all_keys_of(phone: str) -> list[list[str]]:
    tags = [digest[:32] for digest in keyed_digests("phone", phone)]
    # Not `code`: the first releases kept a value of another type under that name.
    return [[redis.key(f"{{p:{tag}}}:{part}") for tag in tags] for part in ("codes", "lock", "hour", "day", "own")]


def code_digests(phone: str, code: str, purpose: str) -> list[str]:
    """Return what is stored of a code, by all keys. A code for another purpose than `login` has other digests."""
    return keyed_digests("code", f"{phone}:{code}" if purpose == "login" else f"{purpose}:{phone}:{code}")


def new_challenge() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(24)


def _token_digests(token: str) -> list[str]:
    return [digest[:32] for digest in keyed_digests("challenge", token)] if token else [""]


def _as_stored(phone: str, *digests: list[str]) -> list[str]:
    """Return of each list the digest that a stored code of the number has, or the first. A list has one by each key."""
    if not has_fallbacks():
        return [each[0] for each in digests]
    stored: set[str] = set()
    for code in live_codes(phone):
        stored |= {code["digest"], code["network"]}
        stored |= {way[name] for way in code["ways"] for name in ("token", "network")}
    return [next((digest for digest in each if digest in stored), each[0]) for each in digests]


def store_code(phone: str, code: str, purpose: str, challenge: str, asker: Asker) -> Issue:
    """Store a new code if the budgets of the number allow it, or let the client use the code that was sent last.

    `challenge` is the new challenge of this client.
    """
    config, code_id = this_app().config, str(new_id())
    move_to_current(_all_keys_of(phone))
    known, network = _as_stored(phone, _token_digests(asker.challenge), asker.networks)
    lifetime_ms = config["CODE_TTL_SECONDS"] * 1000
    answer = redis.client.eval(
        ISSUE,
        5,
        *keys_of(phone),
        *(code_id, code_digests(phone, code, purpose)[0], lifetime_ms, config["CODE_RESEND_SECONDS"] * 1000),
        *(config["SMS_PER_NUMBER_PER_HOUR"], config["SMS_PER_NUMBER_PER_DAY"]),
        config["SMS_PER_OWN_DEVICE_PER_DAY"] if asker.is_own else 0,
        *(_token_digests(challenge)[0], known, network),
        *(config["CODE_MAX_GUESSES"], config["CODE_CHALLENGES"] + asker.is_own, int(asker.is_own)),
    )
    kind, rest_ms, wait_ms = map(int, answer)
    if kind == NEW:
        return Issue(kind, code_id, lifetime_ms, config["CODE_RESEND_SECONDS"] * 1000)
    return Issue(kind, code_id, rest_ms, wait_ms)


def withdraw_code(phone: str, code_id: str) -> None:
    """Undo `store_code`, including its counts."""
    redis.client.eval(WITHDRAW, 5, *keys_of(phone), code_id)


def use_code(phone: str, code: str, purpose: str, challenge: str) -> int:
    """Count a guess, and consume the code if the guess is right. Return the milliseconds it was still valid, else 0."""
    digest, token = _as_stored(phone, code_digests(phone, code, purpose), _token_digests(challenge))
    return int(redis.client.eval(REDEEM, 1, keys_of(phone)[0], digest, secrets.token_hex(8), token))


def unuse_code(phone: str, code: str, purpose: str, rest_ms: int) -> None:
    """Make a used code valid again."""
    (digest,) = _as_stored(phone, code_digests(phone, code, purpose))
    guesses = this_app().config["CODE_MAX_GUESSES"]
    redis.client.eval(RESTORE, 1, keys_of(phone)[0], digest, rest_ms, str(new_id()), guesses)


def live_codes(phone: str) -> list[dict[str, Any]]:
    """Return the stored codes of a number, the newest last."""
    keys = _all_keys_of(phone)[0]
    move_to_current([keys])
    stored = redis.client.get(keys[0])
    codes: list[dict[str, Any]] = json.loads(stored) if stored else []
    return codes


def is_open(code: dict[str, Any]) -> bool:
    """Return False if a code was used, replaced or guessed too often, so that it must not be sent any more."""
    by_challenge = any(way["left"] > 0 and "gone" not in way for way in code["ways"])
    return "used" not in code and (by_challenge or (code["left"] > 0 and "closed" not in code))
