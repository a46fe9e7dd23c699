"""SMS by the providers that `SMS_PROVIDERS` lists: when one fails, the next is tried."""

import time
from threading import Lock

from flask import Flask, current_app
from werkzeug.utils import import_string

from swiper.signals import sms_failed, sms_sent
from swiper.sms.base import SmsAwayError, SmsError, SmsProvider

__all__ = ["SmsAwayError", "SmsError", "SmsProvider", "can_send_to", "init_app", "send_sms"]

# Imported only where chosen: the providers' libraries cost each process half a second and 30 MB.
PROVIDERS = {
    "aliyun": "swiper.sms.aliyun:AliyunProvider",
    "ronglian": "swiper.sms.ronglian:RonglianProvider",
    "console": "swiper.sms.console:ConsoleProvider",
}
# A provider that did not answer is asked last for so long: each message would wait for its time-out first.
AWAY_SECONDS = 30.0
_choosing = Lock()


def init_app(app: Flask) -> None:
    """Build the providers in their order; an unknown name stops the start."""
    unknown = set(app.config["SMS_PROVIDERS"]) - set(PROVIDERS)
    if unknown:
        raise ValueError(f"SMS_PROVIDERS knows {sorted(PROVIDERS)}, not {sorted(unknown)}")
    app.extensions["sms"] = [import_string(PROVIDERS[name])(app.config) for name in app.config["SMS_PROVIDERS"]]


def can_send_to(phone: str) -> bool:
    """True where at least one of the providers sends to this number (E.164)."""
    providers: list[SmsProvider] = current_app.extensions["sms"]
    return any(provider.takes(phone) for provider in providers)


def send_sms(phone: str, code: str) -> str:
    """Send `code` to `phone` by the first provider that takes it; its name is returned.

    Raises SmsError when all of them failed, or none sends to this number.
    """
    failures = []
    for provider in _in_order():
        if not provider.takes(phone):
            continue
        try:
            provider.send(phone, code)
        except SmsError as error:
            # What was refused is this message, not the next one.
            if isinstance(error, SmsAwayError):
                provider.away_until = time.monotonic() + AWAY_SECONDS
            failures.append(f"{provider.name}: {error}")
        else:
            provider.away_until = 0.0
            sms_sent.send(None, provider=provider.name)
            return str(provider.name)
    sms_failed.send(None)
    raise SmsError("; ".join(failures) or "no provider sends to this number")


def _in_order() -> list[SmsProvider]:
    """All providers, those that were away lately behind the others.

    One whose time is over gets its old place back for this message alone, until it has taken one.
    """
    providers: list[SmsProvider] = current_app.extensions["sms"]
    moment = time.monotonic()
    with _choosing:
        away = [provider for provider in providers if provider.away_until > moment]
        for provider in providers:
            if 0 < provider.away_until <= moment:
                provider.away_until = moment + AWAY_SECONDS
    return [provider for provider in providers if provider not in away] + away
