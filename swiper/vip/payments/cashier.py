"""A cashier page of the operator's own, tied in by one shared secret, `PAYMENT_SECRET`.

The buyer is sent to `PAYMENT_CHECKOUT_URL`, whose own query and fragment stay, with four parameters behind its query:
`order_id`, `amount_cents`, `currency` and `signature`. The signature is the hexadecimal HMAC-SHA256 under the secret of

    swiper-link
    order_id=123&amount_cents=3000&currency=CNY

which are two lines with one line feed between them and none behind; the parameters stand in this order, as in the link.

Once the order is paid, the cashier posts a JSON object to `/api/vip/payments/cashier/callback`, again and again until
the answer is 200: `order_id` (text), `payment_id` (text, its own number, up to 64 characters), `amount_cents` (a whole
number), `currency`. The header `X-Signature` is the hexadecimal HMAC-SHA256, in small or capital letters, of

    swiper-notice
    <the bytes of the body>

again with one line feed between. The answer's `data.state` is `paid`, or `refund_due` where the money must go back.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from swiper.vip.payments.signed import SignedProvider

PARAMETERS = ("order_id", "amount_cents", "currency", "signature")


class CashierProvider(SignedProvider):
    """Signed links out, signed callbacks in."""

    name = "cashier"

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Raises ValueError where `PAYMENT_CHECKOUT_URL` is no address of a page, or has one of our parameters."""
        super().__init__(config)
        self.page = urlsplit(str(config["PAYMENT_CHECKOUT_URL"]))
        if self.page.scheme not in ("http", "https") or not self.page.hostname:
            raise ValueError("PAYMENT_CHECKOUT_URL must begin with https:// and a host")
        taken = set(parse_qs(self.page.query, keep_blank_values=True)) & set(PARAMETERS)
        if taken:
            raise ValueError(f"PAYMENT_CHECKOUT_URL must not have the parameter {min(taken)}, which is added to it")

    @property
    def secret(self) -> bytes:
        """The key shared with the cashier."""
        return str(self.config["PAYMENT_SECRET"]).encode()

    def checkout_url(self, order_id: int, amount_cents: int, currency: str) -> str:
        """The cashier's page for this order."""
        asked = urlencode({"order_id": order_id, "amount_cents": amount_cents, "currency": currency})
        parts = (self.page.query.strip("&"), asked, f"signature={self.sign_link(asked)}")
        return urlunsplit(self.page._replace(query="&".join(filter(None, parts))))
