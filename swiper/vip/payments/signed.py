"""Signatures and notices that the payment providers of this package share.

A signature is the hexadecimal HMAC-SHA256, with the secret as its key, of a purpose, a line feed and the signed text.
A signature for one purpose is therefore never valid for the other.
"""

import hashlib
import hmac
import json
import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from swiper.errors import PaymentError
from swiper.ids import MAX_ID
from swiper.vip.payments.base import PaymentNotice, PaymentProvider

LINK, NOTICE = b"swiper-link", b"swiper-notice"
ORDER_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
FIELDS = {"order_id": str, "payment_id": str, "amount_cents": int, "currency": str}


class SignedProvider(PaymentProvider):
    """Signs links and reads signed notices. A subclass has the secret, and knows where the buyer pays."""

    @property
    @abstractmethod
    def secret(self) -> bytes:
        """The secret that is shared with the service that takes the money."""

    @property
    def accepted_secrets(self) -> list[bytes]:
        """The secrets with which notices may be signed."""
        return [self.secret]

    def sign(self, body: bytes) -> str:
        """Return the signature of a notice with this body."""
        return self._signature(self.secret, NOTICE, body)

    def sign_link(self, text: str) -> str:
        """Return the signature of a link."""
        return self._signature(self.secret, LINK, text.encode())

    def _signature(self, secret: bytes, purpose: bytes, text: bytes) -> str:
        return hmac.new(secret, purpose + b"\n" + text, hashlib.sha256).hexdigest()

    def read_callback(self, headers: Mapping[str, str], body: bytes) -> PaymentNotice:
        """Check the signature of the raw bytes, then return the notice. Raises PaymentError if either is wrong."""
        given = headers.get("X-Signature", "").lower().encode()
        signatures = [self._signature(secret, NOTICE, body).encode() for secret in self.accepted_secrets]
        if not any(hmac.compare_digest(signature, given) for signature in signatures):
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
