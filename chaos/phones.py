"""Numbers of people who log in by code, and what they ask for."""

import itertools

from chaos.burst import RequestSpec
from chaos.site import Site
from deploy.processes import wait_until

CODE_WRONG, LIMITED, UNAVAILABLE = 1000, 1006, 1011
SENDING_SECONDS = 30
HOME = "127.0.0.1"

# Apart from those that the shop's visitors have.
_numbers = itertools.count(13_800_000_000)


def new_phones(count: int) -> list[str]:
    """Mobile numbers that nobody has asked for yet."""
    return [f"+86{next(_numbers)}" for _ in range(count)]


def request_code(phone: str, source: str = HOME) -> RequestSpec:
    """A request for a code, from the address `source`."""
    return RequestSpec("POST", "/api/user/verify", {"phonenum": phone}, source=source)


def enter_code(phone: str, code: str, source: str = HOME) -> RequestSpec:
    """A login, or a guess."""
    return RequestSpec("POST", "/api/user/login", {"phonenum": phone, "vcode": code}, source=source)


def wrong_codes(code: str, count: int) -> list[str]:
    """Others than `code`, all different."""
    return [f"{(int(code) + number) % 1_000_000:06d}" for number in range(1, count + 1)]


def ask_codes(site: Site, phones: list[str]) -> list[str]:
    """Ask for a code for each number, whether its minute is over or not; the codes as the SMS have them."""
    end_resend_locks(site)
    known = len(site.sent_codes())
    site.prepare(*[request_code(phone) for phone in phones])
    sent: dict[str, str] = {}

    def has_all() -> bool:
        sent.update(site.sent_codes()[known:])
        return sent.keys() >= set(phones)

    wait_until(has_all, SENDING_SECONDS, "a code was not sent")
    return [sent[phone] for phone in phones]


def end_resend_locks(site: Site) -> None:
    """Stands for the minute that must pass between two codes of one number."""
    end_soon(site, "{p:*}:lock", 0)


def end_soon(site: Site, pattern: str, milliseconds: int) -> None:
    """Let the keys like `pattern` run out in so short a time."""
    redis = site.app.extensions["redis"]
    for key in redis.scan_iter(pattern, count=1000):
        redis.pexpire(key, milliseconds)


def total(site: Site, pattern: str) -> int:
    """The sum of all counters whose keys are like `pattern`."""
    redis = site.app.extensions["redis"]
    return sum(int(redis.get(key) or 0) for key in redis.scan_iter(pattern, count=1000))
