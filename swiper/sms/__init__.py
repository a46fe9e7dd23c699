"""Sends SMS by the providers in the setting `SMS_PROVIDERS`. If one fails, the next is tried."""

import logging
import re
import time
from collections.abc import Mapping
from importlib import import_module
from threading import Lock
from typing import Any

from flask import Flask, current_app

from config.providers import SMS_PROVIDERS
from config.settings import ConfigurationError
from swiper.signals import sms_failed, sms_refused, sms_sent
from swiper.sms.base import SmsAwayError, SmsError, SmsProvider

__all__ = ["SmsAwayError", "SmsError", "SmsProvider", "build_provider", "can_send_to", "init_app", "send_sms"]

log = logging.getLogger(__name__)

# A provider that did not answer is tried last for this time, since each message would first wait for its time-out.
AWAY_SECONDS = 30.0
_choosing = Lock()


def init_app(app: Flask) -> None:
    """Build the providers in their order. Raises ConfigurationError if one cannot be built."""
    app.extensions["sms"] = [build_provider(name, app.config) for name in app.config["SMS_PROVIDERS"]]


def build_provider(name: str, config: Mapping[str, Any]) -> SmsProvider:
    """Build a provider by its short name in `config.providers.SMS_PROVIDERS`, or by `package.module:Class`.

    Its module is imported here, since the libraries of all providers would cost each process half a second and 30 MB.
    Raises ConfigurationError if there is no such class, or if it refuses its own settings.
    """
    path = SMS_PROVIDERS.get(name, name)
    if not re.fullmatch(r"[\w.]+:\w+", path):
        known = ", ".join(sorted(SMS_PROVIDERS))
        raise ConfigurationError(f"SMS_PROVIDERS knows {known}, or a class as package.module:Class; not {name!r}")
    module, _, class_name = path.partition(":")
    try:
        chosen = getattr(import_module(module), class_name)
        if not (isinstance(chosen, type) and issubclass(chosen, SmsProvider) and hasattr(chosen, "name")):
            raise TypeError("it is no subclass of swiper.sms.SmsProvider with a name")
        return chosen(config)
    except Exception as error:
        # Code from outside may raise any error. Its traceback is only in the DEBUG log.
        log.debug("the SMS provider %s", name, exc_info=error)
        raise ConfigurationError(f"SMS_PROVIDERS: {name} cannot be used: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def can_send_to(phone: str) -> bool:
    """Return True if at least one provider sends to this number (E.164)."""
    providers: list[SmsProvider] = current_app.extensions["sms"]
    return any(provider.takes(phone) for provider in providers)


def send_sms(phone: str, code: str) -> str:
    """Send `code` to `phone` by the first provider that accepts it, and return the name of that provider.

    Raises SmsError if all of them failed, or if none sends to this number.
    """
    failures = []
    for provider in _in_order():
        if not provider.takes(phone):
            continue
        try:
            provider.send(phone, code)
        except SmsError as error:
            # A refusal is about this message, and says nothing about the next one.
            if isinstance(error, SmsAwayError):
                provider.away_until = time.monotonic() + AWAY_SECONDS
            failures.append(f"{provider.name}: {error}")
            sms_refused.send(None, provider=provider.name)
        else:
            provider.away_until = 0.0
            sms_sent.send(None, provider=provider.name)
            return str(provider.name)
    sms_failed.send(None)
    raise SmsError("; ".join(failures) or "no provider sends to this number")


def _in_order() -> list[SmsProvider]:
    """Return all providers, those that did not answer lately after the others.

    When the time of such a provider is over, one message tries it in its normal place. The others do so again when it
    has accepted a message.
    """
    providers: list[SmsProvider] = current_app.extensions["sms"]
    moment = time.monotonic()
    with _choosing:
        away = [provider for provider in providers if provider.away_until > moment]
        for provider in providers:
            if 0 < provider.away_until <= moment:
                provider.away_until = moment + AWAY_SECONDS
    return [provider for provider in providers if provider not in away] + away
