"""Yuntongxun (Ronglian), by its official SDK, which may not print numbers and codes here."""

import json
from functools import cached_property
from importlib.util import find_spec, module_from_spec
from types import SimpleNamespace
from typing import Any

import requests

from swiper.sms.base import MAINLAND_MOBILE, SmsAwayError, SmsError, SmsProvider

SENT = "000000"
# The status that the SDK itself sets if there was no response.
NO_ANSWER = "172001"


class RonglianProvider(SmsProvider):
    """Sends by `TemplateSMS`. The variables of the template are the code, and the minutes for which it is valid."""

    name = "ronglian"

    @cached_property
    def sdk(self) -> Any:
        """The SDK's client, which the first message builds."""
        sdk = load_quiet_sdk(self.timeout_seconds).SmsSDK(
            self.config["RONGLIAN_ACCOUNT_SID"], self.config["RONGLIAN_AUTH_TOKEN"], self.config["RONGLIAN_APP_ID"]
        )
        sdk.url = self.config["RONGLIAN_BASE_URL"].rstrip("/")
        return sdk

    def wire_number(self, phone: str) -> str | None:
        """Return the 11 digits of a mainland mobile number, and None for all others."""
        mainland = MAINLAND_MOBILE.fullmatch(phone)
        return mainland[1] if mainland else None

    def try_send(self, number: str, code: str) -> None:
        """Send one request. Raises SmsError with Ronglian's `statusCode`."""
        minutes = max(1, self.config["CODE_TTL_SECONDS"] // 60)
        answer = self.sdk.sendMessage(self.config["RONGLIAN_TEMPLATE_ID"], number, (code, str(minutes)))
        status = json.loads(answer)["statusCode"]
        if status == NO_ANSWER:
            raise SmsAwayError(status)
        if status != SENT:
            raise SmsError(status)


class TimedRequests:
    """Replaces `requests` in the SDK, whose own time-outs are fixed at 2 s to connect and 5 s to read."""

    codes = requests.codes

    def __init__(self, timeout_seconds: float) -> None:
        """`timeout_seconds` is the time-out for connecting, and for each wait for data."""
        self.timeout_seconds = timeout_seconds

    def post(self, url: str, *, headers: dict[str, Any], data: str, timeout: object) -> requests.Response:
        """Call `requests.post` with our time-out, and without redirects, which would send the code elsewhere."""
        return requests.post(url, headers=headers, data=data, timeout=self.timeout_seconds, allow_redirects=False)


def load_quiet_sdk(timeout_seconds: float) -> Any:
    """Return our own copy of the SDK's module, which prints nothing and has the time-out `timeout_seconds`.

    The SDK prints the token, the number and the code of each message, and the traceback of each failure. Some names are
    replaced in our copy only. The installed module and stdout, which all threads share, do not change.
    """
    spec = find_spec("ronglian_sms_sdk.SmsSDK")
    if spec is None or spec.loader is None:
        raise ImportError("ronglian_sms_sdk is not installed")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    stand_ins = {
        "print": print_nothing,
        "traceback": SimpleNamespace(print_exc=print_nothing),
        "requests": TimedRequests(timeout_seconds),
    }
    vars(module).update(stand_ins)
    return module


def print_nothing(*values: object) -> None:
    """Do nothing, with the arguments of `print`."""
