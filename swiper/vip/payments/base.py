"""The interface that a payment provider fits."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PaymentNotice:
    """What a provider says has been paid: amounts in cents, `payment_id` is the provider's own number."""

    order_id: int
    payment_id: str
    amount_cents: int
    currency: str


class PaymentProvider(ABC):
    """Takes money for an order and tells us so in a signed callback."""

    name: str

    def __init__(self, config: Mapping[str, Any]) -> None:
        """`config` is the application's configuration; a subclass reads its own credentials from it."""
        self.config = config

    @abstractmethod
    def checkout_url(self, order_id: int, amount_cents: int, currency: str) -> str:
        """Where the buyer pays."""

    @abstractmethod
    def read_callback(self, headers: Mapping[str, str], body: bytes) -> PaymentNotice:
        """The notice in a callback, once its signature is proven. Raises PaymentError."""
