"""A fake cashier: it signs notices of payments, and repeats each until it is answered with 200."""

import hashlib
import hmac
import json
import threading
import time
from collections import Counter
from typing import Any

from sqlalchemy import func, select

from chaos.burst import Answer, RequestSpec
from chaos.members import Member
from chaos.site import Site
from swiper.vip.models import Membership, Order

PAYMENT_SECRET = "cashier-" * 6
PATIENCE_SECONDS = 90.0
# Pending, paid, and whatever else the API shows of an order.
Shown = dict[str, Any]


def sign(purpose: bytes, text: bytes, secret: str = PAYMENT_SECRET) -> str:
    """The signature of `text` for one purpose."""
    return hmac.new(secret.encode(), purpose + b"\n" + text, hashlib.sha256).hexdigest()


def notice(order: Shown, *, secret: str = PAYMENT_SECRET, signature: str = "", **changes: Any) -> RequestSpec:
    """The signed callback that `order` was paid; `changes` are fields other than the order's own."""
    fields = {
        "order_id": order["id"],
        "payment_id": f"bank-{order['id']}",
        "amount_cents": round(order["amount"] * 100),
        "currency": order["currency"],
    }
    body = json.dumps(fields | changes).encode()
    proof = signature or sign(b"swiper-notice", body, secret)
    return RequestSpec("POST", "/api/vip/payments/cashier/callback", body, headers={"X-Signature": proof})


def place_order(site: Site, member: Member, months: int, level: int = 1) -> Shown:
    """Order a level, as the member does; the order as the API shows it."""
    answer = site.ask(member.post("/api/vip/orders", level=level, months=months))
    assert answer.status == 201, answer.body
    shown: Shown = answer.data
    return shown


class Cashier:
    """Pays each order in a thread of its own."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.threads: list[threading.Thread] = []
        self.tries = 0
        # By order: what was answered with the first 200.
        self.settled: dict[str, str] = {}

    def pay(self, *orders: Shown) -> None:
        """Begin to tell of the payments of `orders`."""
        for order in orders:
            thread = threading.Thread(target=self._insist, args=(order,))
            self.threads.append(thread)
            thread.start()

    def _insist(self, order: Shown) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            self.tries += 1
            answer = self._tell(order)
            if answer.status == 200:
                self.settled[order["id"]] = answer.data["state"]
                return
            time.sleep(0.1)

    def _tell(self, order: Shown) -> Answer:
        try:
            return self.site.ask(notice(order))
        except OSError as error:
            # nginx is never killed, but has no connection left for a moment.
            return Answer.none(error)

    def join(self) -> None:
        """Return when everything is paid, or given up."""
        for thread in self.threads:
            thread.join()
        self.threads.clear()


def states_of(site: Site, orders: list[Shown]) -> Counter[str]:
    """How many of `orders` are in which state."""
    with site.looking() as session:
        states = dict(session.execute(select(Order.id, Order.state)).all())
    return Counter(states[int(order["id"])].value for order in orders)


def granted_months(site: Site, uid: int) -> int:
    """How many months a member was granted in all; whoever has paid nothing has none."""
    with site.looking() as session:
        began = session.scalar(select(func.min(Order.paid_at)).where(Order.uid == uid))
        # Whoever has ordered has a row of level 0, which their orders take turns at.
        held = Membership.uid == uid, Membership.level > 0
        ends = session.scalar(select(Membership.expires_at).where(*held))
    if ends is None:
        return 0
    assert began is not None, f"{uid} is a member without a payment"
    return int(ends.year * 12 + ends.month - began.year * 12 - began.month)
