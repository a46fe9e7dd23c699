"""What all codes together may cost: budgets by network, by country and in all, and a brake when codes stay unused.

Strangers pay for a hot budget with a proof of work, and leave the last part of it to numbers that have an account. A
device that has logged in to a number before is bound by that number's own budgets alone.
"""

import ipaddress
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from swiper.auth.proof_of_work import LIFE_SECONDS, create_challenge, read_proof
from swiper.bans.addresses import client_network, parse_address
from swiper.encryption import keyed_digest
from swiper.errors import ChallengeError, RateLimitedError
from swiper.extensions import redis, this_app
from swiper.redis_client import once

log = logging.getLogger(__name__)

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
# What a proof of work costs more while most codes stay unused.
BRAKE_HARDNESS = 4

# KEYS: counter. ARGV: limit, window ms. Returns what was counted before, or the ms to wait as a negative number.
COUNT = """
local used = tonumber(redis.call('GET', KEYS[1]) or '0')
if used >= tonumber(ARGV[1]) then return math.min(-1, -redis.call('PTTL', KEYS[1])) end
if redis.call('INCR', KEYS[1]) == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return used
"""
# KEYS: counter. ARGV: how many. A counter that has expired is left alone: a new one would never expire.
UNCOUNT = """
local left = tonumber(redis.call('GET', KEYS[1]) or '0') - tonumber(ARGV[1])
if left == 0 then redis.call('DEL', KEYS[1]) end
if left > 0 then redis.call('DECRBY', KEYS[1], ARGV[1]) end
return 0
"""


@dataclass(frozen=True)
class Budget:
    """A counter of a day; strangers leave the last part of one that `has_reserve`."""

    key: str
    limit: int
    has_reserve: bool = False


@dataclass
class Spending:
    """What a request for a code has counted, so that it can be given back."""

    counted: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    proof_key: str | None = None
    is_accounts_only: bool = False


def network_digest(remote_addr: str) -> str:
    """An address as keys and stored challenges know it: IPv4, or the /64 that one IPv6 subscriber has."""
    return _digest(client_network(remote_addr))


def _digest(network: str) -> str:
    return keyed_digest("ip", network)[:32]


def _networks(remote_addr: str) -> list[Budget]:
    """Budgets of the address and of the networks around it: one holder has 256 /64 in a /56, and 65,536 in a /48."""
    config = this_app().config
    budgets = [Budget(f"sms:ip:{network_digest(remote_addr)}", config["SMS_PER_IP_PER_DAY"])]
    address = parse_address(remote_addr)
    if address is None:
        return budgets
    wider = (56, 48) if isinstance(address, ipaddress.IPv6Address) else (24,)
    for length in wider:
        network = str(ipaddress.ip_network((address, length), strict=False))
        budgets.append(Budget(f"sms:net{length}:{_digest(network)}", config[f"SMS_PER_NET{length}_PER_DAY"]))
    return budgets


def _budgets(remote_addr: str, country: str, is_own: bool) -> list[Budget]:
    config = this_app().config
    budgets = [] if is_own else _networks(remote_addr)
    if country != config["DEFAULT_REGION"]:
        budgets.append(Budget(f"sms:country:{country}", config["SMS_PER_COUNTRY_PER_DAY"], has_reserve=True))
    return [*budgets, Budget("sms:all", config["SMS_GLOBAL_PER_DAY"], has_reserve=True)]


def spend(phone: str, country: str, remote_addr: str, proof: str, *, is_own: bool) -> Spending:
    """Count one code for `phone` against all budgets but the number's own; all or nothing, in one round trip.

    `is_own` says that a device asks that has logged in to the number. Raises RateLimitedError when a budget is used up,
    ChallengeError when one runs hot and no proof of work came along.
    """
    network, hour = network_digest(remote_addr), int(time.time() // 3600)
    budgets = _budgets(remote_addr, country, is_own)
    sent_key = f"sms:sent:{hour}"
    name = read_proof(proof, phone, network)
    proof_key = f"pow:{name}" if name else None
    commands: list[tuple[Any, ...]] = [once(COUNT, [each.key], each.limit, DAY_MS) for each in budgets]
    commands.append(once(COUNT, [sent_key], 2**53, 2 * HOUR_MS))
    commands += [("GET", f"sms:{kind}:{hour - ago}") for kind, ago in (("sent", 1), ("used", 0), ("used", 1))]
    if proof_key:
        commands.append(("SET", proof_key, 1, "NX", "EX", LIFE_SECONDS + 1))
    answers = redis.client.execute_together(*commands)
    spending = Spending()
    if proof_key and answers[-1] is not None:
        spending.proof_key = proof_key
    try:
        counts = _read_counts(spending, [*[each.key for each in budgets], sent_key], answers)
        sent_before, *used = [int(answer or 0) for answer in answers[len(counts) : len(counts) + 3]]
        spending.shared = [*[each.key for each in budgets if each.has_reserve], sent_key]
        if not is_own:
            is_braking = _is_braking(counts[-1] + sent_before, sum(used))
            _admit_stranger(spending, list(zip(budgets, counts, strict=False)), is_braking, phone, network)
    except Exception:
        give_back(spending)
        raise
    return spending


def _read_counts(spending: Spending, keys: Sequence[str], answers: Sequence[Any]) -> list[int]:
    """What each counter had before. Raises RateLimitedError for one that is used up, RedisError."""
    counts = list(zip(keys, answers, strict=False))
    spending.counted = [key for key, count in counts if not isinstance(count, Exception) and count >= 0]
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    require_no_wait(max(0, *[-count for _, count in counts]))
    return [count for _, count in counts]


def _is_braking(sent: int, used: int) -> bool:
    """True while too few of this and the last hour's codes were used."""
    config = this_app().config
    return bool(sent >= config["SMS_BRAKE_CODES"] and used * 100 < sent * config["SMS_BRAKE_PERCENT"])


def _admit_stranger(
    spending: Spending, counts: list[tuple[Budget, int]], is_braking: bool, phone: str, network: str
) -> None:
    config = this_app().config
    is_hot = any(used * 100 > each.limit * config["PROOF_OF_WORK_PERCENT"] for each, used in counts)
    if (is_hot or is_braking) and spending.proof_key is None:
        raise ChallengeError(data=create_challenge(phone, network, BRAKE_HARDNESS if is_braking else 1))
    if is_braking:
        key = "sms:strangers"
        count_below(key, config["SMS_BRAKE_PER_MINUTE"], MINUTE_MS)
        spending.counted.append(key)
    share = 100 - config["SMS_RESERVE_PERCENT"]
    spending.is_accounts_only = any(each.has_reserve and used * 100 >= each.limit * share for each, used in counts)


def settle_reserve(spending: Spending, has_account: bool) -> None:
    """Give back what a number without an account may not take; both take the same time."""
    amount = 0 if has_account else 1
    redis.client.execute_together(*[once(UNCOUNT, [key], amount) for key in spending.shared])
    if not has_account:
        spending.counted = [key for key in spending.counted if key not in spending.shared]


def give_back(spending: Spending) -> None:
    """Undo `spend`; where Redis is away the counts simply run out."""
    commands: list[tuple[Any, ...]] = [once(UNCOUNT, [key], 1) for key in spending.counted]
    if spending.proof_key:
        commands.append(("DEL", spending.proof_key))
    try:
        if commands:
            redis.client.execute_together(*commands)
    except Exception as error:
        log.warning("the budgets of a code could not be given back: %s", type(error).__name__)


def count_used() -> None:
    """Note that a code was used, for the brake."""
    redis.client.eval_once(COUNT, [_used_key()], 2**53, 2 * HOUR_MS)


def uncount_used() -> None:
    """Undo `count_used`."""
    redis.client.eval_once(UNCOUNT, [_used_key()], 1)


def _used_key() -> str:
    return f"sms:used:{int(time.time() // 3600)}"


def count_guess(remote_addr: str) -> None:
    """Count one attempt at a login against its address. Raises RateLimitedError when the minute's are used up."""
    limit = this_app().config["LOGIN_PER_IP_PER_MINUTE"]
    count_below(f"login:ip:{network_digest(remote_addr)}", limit, MINUTE_MS)


def count_below(key: str, limit: int, window_ms: int) -> None:
    """Count one under `key`, whose window begins with its first. Raises RateLimitedError once there are `limit`."""
    require_no_wait(-min(0, int(redis.client.eval_once(COUNT, [key], limit, window_ms))))


def require_no_wait(milliseconds: int) -> None:
    """Raise RateLimitedError where there is a time to wait."""
    if milliseconds:
        raise RateLimitedError(milliseconds / 1000)
