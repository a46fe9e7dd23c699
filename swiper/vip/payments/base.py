"""The interface of payment providers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PaymentNotice:
    """A payment as the provider reports it. `payment_id` is the provider's own number of the payment."""

    order_id: int
    payment_id: str
    amount_cents: int
    currency: str


class PaymentProvider(ABC):
    """Takes the money for orders, and reports each payment in a signed callback."""

    name: str

    def __init__(self, config: Mapping[str, Any]) -> None:
        """`config` is the configuration of the application. A subclass reads its credentials from it."""
        self.config = config

    @abstractmethod
    def checkout_url(self, order_id: int, amount_cents: int, currency: str) -> str:
        """Return the URL of the page where the buyer pays this order."""

    @abstractmethod
    def read_callback(self, headers: Mapping[str, str], body: bytes) -> PaymentNotice:
        """Check the signature of a callback and return its notice. Raises PaymentError if either is wrong."""
