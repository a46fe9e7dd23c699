"""A cashier page that the operator runs. Swiper and the page share one secret, `PAYMENT_SECRET`.

The buyer is sent to `PAYMENT_CHECKOUT_URL`. Its query and fragment stay, and four parameters are added to the query:
`order_id`, `amount_cents`, `currency` and `signature`. The signature is the hexadecimal HMAC-SHA256, with the secret as
its key, of

    swiper-link
    order_id=123&amount_cents=3000&currency=CNY

These are two lines with one line feed between them and none at the end. The parameters are in the order of the link.

When the order is paid, the cashier posts a JSON object to `/api/vip/payments/cashier/callback`, and repeats this until
the answer is 200: `order_id` (text), `payment_id` (text, its own number, up to 64 characters), `amount_cents` (a whole
number), `currency`. The header `X-Signature` is the hexadecimal HMAC-SHA256, in small or capital letters, of

    swiper-notice
    <the bytes of the body>

again with one line feed between. `data.state` of the answer is `paid`, or `refund_due` if the money must be paid back.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from swiper.vip.payments.signed import SignedProvider

PARAMETERS = ("order_id", "amount_cents", "currency", "signature")


class CashierProvider(SignedProvider):
    """Sends buyers to the page by signed links, and reads its signed callbacks."""

    name = "cashier"

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Raises ValueError if `PAYMENT_CHECKOUT_URL` is no URL of a page, or has one of the added parameters."""
        super().__init__(config)
        self.page = urlsplit(str(config["PAYMENT_CHECKOUT_URL"]))
        if self.page.scheme not in ("http", "https") or not self.page.hostname:
            raise ValueError("PAYMENT_CHECKOUT_URL must begin with https:// and a host")
        taken = set(parse_qs(self.page.query, keep_blank_values=True)) & set(PARAMETERS)
        if taken:
            raise ValueError(f"PAYMENT_CHECKOUT_URL must not have the parameter {min(taken)}, which is added to it")

    @property
    def secret(self) -> bytes:
        """The secret that is shared with the cashier."""
        return str(self.config["PAYMENT_SECRET"]).encode()

    def checkout_url(self, order_id: int, amount_cents: int, currency: str) -> str:
        """Return the signed link to the cashier's page for this order."""
        asked = urlencode({"order_id": order_id, "amount_cents": amount_cents, "currency": currency})
        parts = (self.page.query.strip("&"), asked, f"signature={self.sign_link(asked)}")
        return urlunsplit(self.page._replace(query="&".join(filter(None, parts))))
