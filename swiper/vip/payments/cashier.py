"""A cashier page of the operator's own, tied in by one shared secret.

The buyer is sent to `PAYMENT_CHECKOUT_URL` with order, amount, currency and signature in the query. The cashier answers
with a JSON callback: `order_id`, `payment_id`, `amount_cents`, `currency`, and in the header `X-Signature` the
hexadecimal HMAC-SHA256 of the body's bytes under `PAYMENT_SECRET`.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from swiper.errors import PaymentError
from swiper.ids import MAX_ID
from swiper.vip.payments.base import PaymentNotice, PaymentProvider

ORDER_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
FIELDS = {"order_id": str, "payment_id": str, "amount_cents": int, "currency": str}


class CashierProvider(PaymentProvider):
    """Signed links out, signed callbacks in."""

    name = "cashier"

    @property
    def secret(self) -> bytes:
        """The key shared with the cashier."""
        return str(self.config["PAYMENT_SECRET"]).encode()

    def sign(self, body: bytes) -> str:
        """The hexadecimal signature of `body`."""
        return hmac.new(self.secret, body, hashlib.sha256).hexdigest()

    def checkout_url(self, order_id: int, amount_cents: int, currency: str) -> str:
        """The cashier's page for this order; the signature covers the query before it."""
        query = urlencode({"order_id": order_id, "amount_cents": amount_cents, "currency": currency})
        return f"{self.config['PAYMENT_CHECKOUT_URL']}?{query}&signature={self.sign(query.encode())}"

    def read_callback(self, headers: Mapping[str, str], body: bytes) -> PaymentNotice:
        """Check the signature over the raw bytes before a single field is looked at."""
        if not hmac.compare_digest(self.sign(body).encode(), headers.get("X-Signature", "").encode()):
            raise PaymentError("The signature is wrong.", status=403)
        try:
            fields: Any = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise PaymentError() from error
        if not isinstance(fields, dict) or any(type(fields.get(name)) is not kind for name, kind in FIELDS.items()):
            raise PaymentError()
        number, payment_id = fields["order_id"], fields["payment_id"]
        if not ORDER_ID.fullmatch(number) or int(number) > MAX_ID:
            raise PaymentError("There is no such order.")
        if not 0 < len(payment_id) <= 64 or not payment_id.isprintable():
            raise PaymentError()
        return PaymentNotice(int(number), payment_id, fields["amount_cents"], fields["currency"])
