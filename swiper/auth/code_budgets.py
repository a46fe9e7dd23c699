"""Limits of how many codes are sent: by network, by country and in total, with a brake when most codes stay unused.

Above a part of a budget, strangers must send a proof of work. The last part of a budget is reserved for numbers with an
account. For a device that has logged in to a number before, only the number's own limits count.
"""

import ipaddress
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from swiper.auth.digest_keys import move_to_current
from swiper.auth.proof_of_work import LIFE_SECONDS, create_challenge, read_proof
from swiper.bans.addresses import client_network, parse_address
from swiper.encryption import keyed_digests
from swiper.errors import ChallengeError, RateLimitedError
from swiper.extensions import redis, this_app

log = logging.getLogger(__name__)

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
# Multiplies the cost of a proof of work while most codes stay unused.
BRAKE_HARDNESS = 4

# KEYS: counter. ARGV: limit, window ms. Returns the count before, or the ms to wait as a negative number.
COUNT = """
local used = tonumber(redis.call('GET', KEYS[1]) or '0')
if used >= tonumber(ARGV[1]) then return math.min(-1, -redis.call('PTTL', KEYS[1])) end
if redis.call('INCR', KEYS[1]) == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return used
"""
# KEYS: counter. ARGV: how many. It does not change a counter that has expired, since a new one would never expire.
UNCOUNT = """
local left = tonumber(redis.call('GET', KEYS[1]) or '0') - tonumber(ARGV[1])
if left == 0 then redis.call('DEL', KEYS[1]) end
if left > 0 then redis.call('DECRBY', KEYS[1], ARGV[1]) end
return 0
"""


@dataclass(frozen=True)
class Budget:
    """A counter of one day. If it `has_reserve`, its last part is only for numbers with an account.

    `former_keys` are those of the same counter by the keys of SECRET_KEY_FALLBACKS.
    """

    key: str
    limit: int
    has_reserve: bool = False
    former_keys: tuple[str, ...] = ()


@dataclass
class Spending:
    """The counters that a request for a code has increased, so that `give_back` can undo this."""

    counted: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    proof_key: str | None = None
    is_accounts_only: bool = False


def network_digests(remote_addr: str) -> list[str]:
    """Return the digests by all keys of a client's network (an IPv4 address, or a /64 of IPv6).

    They are for keys in Redis and for stored challenges.
    """
    return _digests(client_network(remote_addr))


def _digests(network: str) -> list[str]:
    return [digest[:32] for digest in keyed_digests("ip", network)]


def _budget_of(network: str, name: str, limit: int) -> Budget:
    key, *former = [redis.key(f"{name}:{digest}") for digest in _digests(network)]
    return Budget(key, limit, former_keys=tuple(former))


def _networks(remote_addr: str) -> list[Budget]:
    """Return the budgets of an address and of its networks: a /56 contains 256 of the /64, a /48 contains 65,536."""
    config = this_app().config
    budgets = [_budget_of(client_network(remote_addr), "sms:ip", config["SMS_PER_IP_PER_DAY"])]
    address = parse_address(remote_addr)
    if address is None:
        return budgets
    wider = (56, 48) if isinstance(address, ipaddress.IPv6Address) else (24,)
    for length in wider:
        network = str(ipaddress.ip_network((address, length), strict=False))
        budgets.append(_budget_of(network, f"sms:net{length}", config[f"SMS_PER_NET{length}_PER_DAY"]))
    return budgets


def _budgets(remote_addr: str, country: str, is_own: bool) -> list[Budget]:
    config = this_app().config
    budgets = [] if is_own else _networks(remote_addr)
    if country != config["DEFAULT_REGION"]:
        budgets.append(Budget(redis.key(f"sms:country:{country}"), config["SMS_PER_COUNTRY_PER_DAY"], has_reserve=True))
    return [*budgets, Budget(redis.key("sms:all"), config["SMS_GLOBAL_PER_DAY"], has_reserve=True)]


def spend(phone: str, country: str, remote_addr: str, proof: str, *, is_own: bool) -> Spending:
    """Count one code for `phone` in all budgets except the number's own, in one round trip; all or nothing.

    `is_own` is true if the device has logged in to the number. Raises RateLimitedError if a budget is used up, and
    ChallengeError if one is nearly used up and `proof` is no valid proof of work.
    """
    network, hour = client_network(remote_addr), int(time.time() // 3600)
    budgets = _budgets(remote_addr, country, is_own)
    move_to_current([each.key, *each.former_keys] for each in budgets)
    sent_key = redis.key(f"sms:sent:{hour}")
    name = read_proof(proof, phone, network)
    proof_key = redis.key(f"pow:{name}") if name else None
    commands: list[tuple[Any, ...]] = [redis.client.once(COUNT, [each.key], each.limit, DAY_MS) for each in budgets]
    commands.append(redis.client.once(COUNT, [sent_key], 2**53, 2 * HOUR_MS))
    commands += [
        ("GET", redis.key(f"sms:{kind}:{hour - ago}")) for kind, ago in (("sent", 1), ("used", 0), ("used", 1))
    ]
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
    """Return the counts before. Raises RateLimitedError for a budget that is used up, and RedisError."""
    counts = list(zip(keys, answers, strict=False))
    spending.counted = [key for key, count in counts if not isinstance(count, Exception) and count >= 0]
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    require_no_wait(max(0, *[-count for _, count in counts]))
    return [count for _, count in counts]


def _is_braking(sent: int, used: int) -> bool:
    """Return True if too few codes of this hour and the last hour were used."""
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
        key = redis.key("sms:strangers")
        count_below(key, config["SMS_BRAKE_PER_MINUTE"], MINUTE_MS)
        spending.counted.append(key)
    share = 100 - config["SMS_RESERVE_PERCENT"]
    spending.is_accounts_only = any(each.has_reserve and used * 100 >= each.limit * share for each, used in counts)


def apply_reserve(spending: Spending, has_account: bool) -> None:
    """Give back the counts of a number without an account, since no code is sent. Both cases take the same time."""
    amount = 0 if has_account else 1
    redis.client.execute_together(*[redis.client.once(UNCOUNT, [key], amount) for key in spending.shared])
    if not has_account:
        spending.counted = [key for key in spending.counted if key not in spending.shared]


def give_back(spending: Spending) -> None:
    """Undo `spend`. If Redis is not available, the counters expire by themselves."""
    commands: list[tuple[Any, ...]] = [redis.client.once(UNCOUNT, [key], 1) for key in spending.counted]
    if spending.proof_key:
        commands.append(("DEL", spending.proof_key))
    try:
        if commands:
            redis.client.execute_together(*commands)
    except Exception as error:
        log.warning("the budgets of a code could not be given back: %s", type(error).__name__)


def count_used() -> None:
    """Count a used code, for the brake."""
    redis.client.eval_once(COUNT, [_used_key()], 2**53, 2 * HOUR_MS)


def uncount_used() -> None:
    """Undo `count_used`."""
    redis.client.eval_once(UNCOUNT, [_used_key()], 1)


def _used_key() -> str:
    return redis.key(f"sms:used:{int(time.time() // 3600)}")


def count_guess(remote_addr: str) -> None:
    """Count one attempt to log in from an address. Raises RateLimitedError after too many in one minute."""
    limit = this_app().config["LOGIN_PER_IP_PER_MINUTE"]
    key, *former = [redis.key(f"login:ip:{digest}") for digest in network_digests(remote_addr)]
    if former:
        move_to_current([[key, *former]])
    count_below(key, limit, MINUTE_MS)


def count_below(key: str, limit: int, window_ms: int) -> None:
    """Count one under `key` in a window that begins with the first. Raises RateLimitedError after `limit` of them."""
    require_no_wait(-min(0, int(redis.client.eval_once(COUNT, [key], limit, window_ms))))


def require_no_wait(milliseconds: int) -> None:
    """Raise RateLimitedError unless the time to wait is 0."""
    if milliseconds:
        raise RateLimitedError(milliseconds / 1000)
