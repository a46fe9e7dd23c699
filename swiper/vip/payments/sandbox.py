"""Pretended payments for development: no money moves, but the callback is as signed as a real one."""

import hashlib
import json

from swiper.vip.payments.signed import SignedProvider


class SandboxProvider(SignedProvider):
    """The cashier's notices with a checkout of our own; production refuses to start with it."""

    name = "sandbox"

    @property
    def secret(self) -> bytes:
        """Derived from the application's key, so that there is no secret to set up."""
        return hashlib.sha256(b"sandbox payments:" + str(self.config["SECRET_KEY"]).encode()).digest()

    def checkout_url(self, order_id: int, amount_cents: int, currency: str) -> str:
        """A POST here stands for the buyer's consent."""
        return f"/api/vip/payments/sandbox/checkout/{order_id}"

    def pay(self, order_id: int, amount_cents: int, currency: str) -> tuple[dict[str, str], bytes]:
        """Headers and body of the callback that a bank would send after the buyer's consent."""
        body = json.dumps(
            {
                "order_id": str(order_id),
                "payment_id": f"sandbox-{order_id}",
                "amount_cents": amount_cents,
                "currency": currency,
            }
        ).encode()
        return {"X-Signature": self.sign(body)}, body
