"""SMS by the providers that `SMS_PROVIDERS` lists: when one fails, the next is tried."""

from flask import Flask, current_app
from werkzeug.utils import import_string

from swiper.sms.base import SmsError, SmsProvider

__all__ = ["SmsError", "SmsProvider", "init_app", "send_sms"]

# Imported only where chosen: the providers' libraries cost each process half a second and 30 MB.
PROVIDERS = {
    "aliyun": "swiper.sms.aliyun:AliyunProvider",
    "ronglian": "swiper.sms.ronglian:RonglianProvider",
    "console": "swiper.sms.console:ConsoleProvider",
}


def init_app(app: Flask) -> None:
    """Build the providers in their order; an unknown name stops the start."""
    unknown = set(app.config["SMS_PROVIDERS"]) - set(PROVIDERS)
    if unknown:
        raise ValueError(f"SMS_PROVIDERS knows {sorted(PROVIDERS)}, not {sorted(unknown)}")
    app.extensions["sms"] = [import_string(PROVIDERS[name])(app.config) for name in app.config["SMS_PROVIDERS"]]


def send_sms(phone: str, code: str) -> str:
    """Send `code` to `phone` by the first provider that takes it; its name is returned.

    Raises SmsError when all of them failed.
    """
    failures = []
    for provider in current_app.extensions["sms"]:
        try:
            provider.send(phone, code)
        except SmsError as error:
            failures.append(f"{provider.name}: {error}")
        else:
            return str(provider.name)
    raise SmsError("; ".join(failures) or "no provider is configured")
