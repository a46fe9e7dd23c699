"""The live codes of each number in Redis, and the challenges through which they may be guessed.

A challenge belongs to whoever asked for a code, and has guesses of its own. A client that has none goes by the number
alone, which has its own guesses too. A code that was used through one of these ways is dead for all.
"""

import json
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from swiper.auth.code_scripts import ISSUE, REDEEM, RESTORE, WITHDRAW
from swiper.characters import simplify
from swiper.encryption import keyed_digest
from swiper.extensions import redis, this_app
from swiper.ids import new_id

REFUSED, NEW, SENT_BEFORE = 0, 1, 2
CODE = re.compile(r"[0-9]{6}")


@dataclass(frozen=True)
class Asker:
    """Who asks for a code: the challenge that an earlier answer has given, and the digest of the network.

    `is_own` is true for a device that has logged in to the number before.
    """

    challenge: str
    network: str
    is_own: bool


@dataclass(frozen=True)
class Issue:
    """What became of a request: NEW, SENT_BEFORE or REFUSED, how long the code lives, when there may be another."""

    kind: int
    code_id: str
    lives_ms: int
    wait_ms: int


class Delivery(StrEnum):
    """What an accepted request for a code led to."""

    SENT = "sent"
    # The number's owner has it on their phone already, and the asker may type it in.
    SENT_BEFORE = "sent_before"
    # The reserve of the day: the answer must not tell whether this number has an account.
    ACCOUNTS_ONLY = "accounts_only"


@dataclass(frozen=True)
class IssuedCode:
    """The answer to a request for a code; `outbox_id` is for the task that sends it, None where it was sent before."""

    outbox_id: int | None
    challenge: str
    expires_in: int
    resend_in: int
    delivery: Delivery


def parse_code(text: str) -> str | None:
    """The six digits of a code, however they are spelled; None for what can be no code."""
    digits = re.sub(r"[ \-]", "", simplify(text))
    return digits if CODE.fullmatch(digits) else None


def keys_of(phone: str) -> list[str]:
    """Codes, resend lock, hour, day and own devices' count of one number: one hash tag, so one slot of a cluster."""
    tag = keyed_digest("phone", phone)[:32]
    # `code` is what the first releases called a value of another type.
    return [f"{{p:{tag}}}:{part}" for part in ("codes", "lock", "hour", "day", "own")]


def code_digest(phone: str, code: str, purpose: str) -> str:
    """What is stored of a code; one for another purpose than `login` opens nothing else."""
    return keyed_digest("code", f"{phone}:{code}" if purpose == "login" else f"{purpose}:{phone}:{code}")


def new_challenge() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(24)


def _token_digest(token: str) -> str:
    return keyed_digest("challenge", token)[:32] if token else ""


def store_code(phone: str, digest: str, challenge: str, asker: Asker) -> Issue:
    """Store a new code within the budgets of its number, or join the asker to the one that was sent last.

    `challenge` is the asker's from now on.
    """
    config, code_id = this_app().config, str(new_id())
    lifetime_ms = config["CODE_TTL_SECONDS"] * 1000
    answer = redis.client.eval(
        ISSUE,
        5,
        *keys_of(phone),
        *(code_id, digest, lifetime_ms, config["CODE_RESEND_SECONDS"] * 1000),
        *(config["SMS_PER_NUMBER_PER_HOUR"], config["SMS_PER_NUMBER_PER_DAY"]),
        config["SMS_PER_OWN_DEVICE_PER_DAY"] if asker.is_own else 0,
        *(_token_digest(challenge), _token_digest(asker.challenge), asker.network),
        *(config["CODE_MAX_GUESSES"], config["CODE_CHALLENGES"] + asker.is_own, int(asker.is_own)),
    )
    kind, rest_ms, wait_ms = map(int, answer)
    if kind == NEW:
        return Issue(kind, code_id, lifetime_ms, config["CODE_RESEND_SECONDS"] * 1000)
    return Issue(kind, code_id, rest_ms, wait_ms)


def withdraw_code(phone: str, code_id: str) -> None:
    """Undo `store_code`, budgets included."""
    redis.client.eval(WITHDRAW, 5, *keys_of(phone), code_id)


def use_code(phone: str, digest: str, challenge: str) -> int:
    """Count a guess, and consume the code if it is right: the milliseconds it still had, otherwise 0."""
    guess = secrets.token_hex(8)
    return int(redis.client.eval(REDEEM, 1, keys_of(phone)[0], digest, guess, _token_digest(challenge)))


def unuse_code(phone: str, digest: str, rest_ms: int) -> None:
    """Make a used code valid again."""
    guesses = this_app().config["CODE_MAX_GUESSES"]
    redis.client.eval(RESTORE, 1, keys_of(phone)[0], digest, rest_ms, str(new_id()), guesses)


def live_codes(phone: str) -> list[dict[str, Any]]:
    """What Redis knows of the codes of a number, the newest last."""
    stored = redis.client.get(keys_of(phone)[0])
    codes: list[dict[str, Any]] = json.loads(stored) if stored else []
    return codes


def is_open(code: dict[str, Any]) -> bool:
    """False once a code was used, replaced, or guessed at too often: nobody should get it any more."""
    by_challenge = any(way["left"] > 0 and "gone" not in way for way in code["ways"])
    return "used" not in code and (by_challenge or (code["left"] > 0 and "closed" not in code))
