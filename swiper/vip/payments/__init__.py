"""Payment providers. The setting `PAYMENT_PROVIDER` names the one in use, or is `none`."""

from flask import Flask, current_app

from config.settings import ConfigurationError
from swiper.errors import NotFoundError, UnavailableError
from swiper.vip.payments.base import PaymentNotice, PaymentProvider
from swiper.vip.payments.cashier import CashierProvider
from swiper.vip.payments.sandbox import SandboxProvider

__all__ = [
    "PaymentNotice",
    "PaymentProvider",
    "checkout_url",
    "current_provider",
    "find_provider",
    "init_app",
    "provider_names",
]

PROVIDERS: dict[str, type[PaymentProvider]] = {
    provider.name: provider for provider in (SandboxProvider, CashierProvider)
}


def init_app(app: Flask) -> None:
    """Create the provider that the settings name. Raises ConfigurationError for an unknown name."""
    name = app.config["PAYMENT_PROVIDER"]
    if name != "none" and name not in PROVIDERS:
        raise ConfigurationError(f"PAYMENT_PROVIDER knows none, {', '.join(sorted(PROVIDERS))}; not {name!r}")
    app.extensions["payment"] = PROVIDERS[name](app.config) if name != "none" else None


def provider_names() -> list[str]:
    """Return the name of the provider in use, or the names of all providers if none is in use."""
    provider: PaymentProvider | None = current_app.extensions["payment"]
    return [provider.name] if provider else sorted(PROVIDERS)


def current_provider() -> PaymentProvider:
    """Return the provider in use, which new orders are paid with. Raises UnavailableError if there is none."""
    provider: PaymentProvider | None = current_app.extensions["payment"]
    if provider is None:
        raise UnavailableError()
    return provider


def find_provider(name: str) -> PaymentProvider:
    """Return the provider that the path of a callback names. Raises NotFoundError if it is not in use."""
    provider: PaymentProvider | None = current_app.extensions["payment"]
    if provider is None or provider.name != name:
        raise NotFoundError()
    return provider


def checkout_url(provider_name: str, order_id: int, amount_cents: int, currency: str) -> str | None:
    """Return the URL where an order is paid, or None if its provider is no longer in use."""
    provider: PaymentProvider | None = current_app.extensions["payment"]
    if provider is None or provider.name != provider_name:
        return None
    return provider.checkout_url(order_id, amount_cents, currency)
