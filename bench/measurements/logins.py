"""Asking for a code, and logging in with it."""

import itertools
from collections.abc import Iterator
from unittest.mock import patch

from bench.lab import Lab
from bench.load import Contender, post
from bench.measurements.reads import against
from bench.report import Row
from chaos.providers import Mode
from swiper.auth import codes
from swiper.auth.login import find_or_create
from swiper.extensions import db, redis
from swiper.sms.phone_numbers import parse_phone

VERIFY, LOGIN = "/api/user/verify", "/api/user/login"
TARGET = 4.0
# What chance draws while the codes are issued.
CODE = 314_159
# Codes are made one after the other beforehand, so not too many at first.
LOGIN_RATE = 100.0
MAKES_ACCOUNTS = {"of somebody known": False, "the first one": True}

_numbers = itertools.count(13_000_000_000)
_addresses = itertools.count(1)


def _from_elsewhere() -> tuple[str, str]:
    """An address that nobody has come from, and the header in which nginx tells of it: budgets count by address."""
    number = next(_addresses)
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    return address, f"X-Forwarded-For: {address}"


def _ask(count: int) -> list[str]:
    """Lines that ask for codes for numbers that nobody has asked for yet."""
    fields = [f"phonenum={next(_numbers)}" for _ in range(count)]
    return [post(VERIFY, each, "", _from_elsewhere()[1]) for each in fields]


def verify(lab: Lab) -> Iterator[Row]:
    """Asking for a code, while the worker sends them and while both providers hang."""
    (line,) = _ask(1)
    with lab.celery(), lab.bare(line, _ask) as bare:
        flask, swiper = lab.compare(bare.flask, lab.swiper(_ask, is_fresh=True, rate=1_000))
        for gateway in lab.gateways:
            gateway.change(Mode.HANG)
        hung = lab.swiper(_ask, is_fresh=True, rate=1_000).play(lab.folder, lab.seconds)
        for gateway in lab.gateways:
            gateway.change(Mode.OK)
    yield against(f"POST {VERIFY}", flask, "bare Flask view", swiper, TARGET)
    patience_ms = 1000 * lab.settings.sms_timeout_seconds
    yield Row(
        f"POST {VERIFY} while the providers hang",
        f"they are given {patience_ms:.0f} ms; longest wait while they answer: {swiper.max_ms:.0f} ms",
        f"longest wait {hung.max_ms:.0f} ms",
        hung.max_ms / patience_ms,
        "never waits",
        hung.max_ms < patience_ms,
        f"{swiper.rate:.0f} → {hung.rate:.0f}",
    )


def login(lab: Lab) -> Iterator[Row]:
    """Logins with right codes: of accounts that are there, and those that make the account."""
    logins = {words: logins_of(lab, makes_account=makes) for words, makes in MAKES_ACCOUNTS.items()}
    (line,) = _enter(lab, 1, makes_account=True)
    with lab.bare(line, lambda count: [line]) as bare:
        flask, *results = lab.compare(bare.flask, *logins.values())
    for words, swiper in zip(logins, results, strict=True):
        yield against(f"POST {LOGIN}, {words}", flask, "bare Flask view", swiper, TARGET)


def logins_of(lab: Lab, *, makes_account: bool = False) -> Contender:
    """Logins with right codes, each of them once; by default of accounts that are there."""
    return lab.swiper(lambda count: _enter(lab, count, makes_account), is_fresh=True, rate=LOGIN_RATE)


def _enter(lab: Lab, count: int, makes_account: bool) -> list[str]:
    """Lines that log in with codes that the service has issued; to read each out of its SMS takes much longer."""
    lines = []
    with lab.app.app_context(), patch.object(codes, "secrets") as secrets:
        secrets.randbelow.return_value = CODE
        # A new day: this one's codes for everybody together are nearly all sent by now.
        redis.client.delete("sms:all")
        for _ in range(count):
            number, (address, header) = str(next(_numbers)), _from_elsewhere()
            codes.issue_code(number, address)
            if not makes_account:
                find_or_create(parse_phone(number))
            lines.append(post(LOGIN, f"phonenum={number}&vcode={CODE}", "", header))
            db.session.remove()
    return lines
