"""Payments without money, for development. Their callbacks are signed like real ones."""

import hashlib
import json

from swiper.vip.payments.signed import SignedProvider


class SandboxProvider(SignedProvider):
    """Has an endpoint as its checkout, and notices like the cashier's. Production refuses to start with it."""

    name = "sandbox"

    @property
    def secret(self) -> bytes:
        """A secret that is derived from `SECRET_KEY`, so that none must be set."""
        return self._derived_from(str(self.config["SECRET_KEY"]))

    @property
    def accepted_secrets(self) -> list[bytes]:
        """The secret, and those that are derived from `SECRET_KEY_FALLBACKS`."""
        return [self.secret, *map(self._derived_from, self.config.get("SECRET_KEY_FALLBACKS", []))]

    def _derived_from(self, key: str) -> bytes:
        return hashlib.sha256(b"sandbox payments:" + key.encode()).digest()

    def checkout_url(self, order_id: int, amount_cents: int, currency: str) -> str:
        """Return the path of the endpoint that pays the order when the buyer posts to it."""
        return f"/api/vip/payments/sandbox/checkout/{order_id}"

    def pay(self, order_id: int, amount_cents: int, currency: str) -> tuple[dict[str, str], bytes]:
        """Return headers and body of the callback that a real provider would send after the payment."""
        body = json.dumps(
            {
                "order_id": str(order_id),
                "payment_id": f"sandbox-{order_id}",
                "amount_cents": amount_cents,
                "currency": currency,
            }
        ).encode()
        return {"X-Signature": self.sign(body)}, body
