"""A flash sale while the worker that hands out its places is killed."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from chaos.burst import Answer
from chaos.cashier import Cashier
from chaos.lab import MARIADB, POSTGRES, Lab
from chaos.members import Member
from chaos.report import Finding
from chaos.shop import Shop, shop_on
from chaos.site import Site
from swiper.clock import now
from swiper.vip.models import FlashSale, Order, OrderState, Ticket, TicketState
from swiper.vip.sales import add_sale
from tests.processes import Program

TOGETHER = 20
THREADS = 8
PATIENCE_SECONDS = 90.0
OK, SOLD_OUT = 0, 1012


def a_sale_sells_each_place_once(lab: Lab) -> Iterator[Finding]:
    """Everybody queues up, the worker is killed twice, every second buyer pays, the others run out of time."""
    for database in (POSTGRES,) if lab.is_short else (POSTGRES, MARIADB):
        yield _sell(shop_on(lab, database), database, lab.count(1_000, 150), lab.count(100, 16))


@dataclass
class Buyer:
    """A member in the queue: what `qbuy` answered, and the ticket as it was seen last."""

    member: Member
    answer: Answer
    ticket: dict[str, Any]

    def is_told(self, state: TicketState) -> bool:
        """True when the ticket was last seen in `state`."""
        return bool(self.ticket.get("state") == state.value)


def open_sale(site: Site, stock: int) -> int:
    """A sale of `stock` places that has begun; its id."""
    with site.looking():
        window = {"starts_at": now(), "ends_at": now() + timedelta(hours=1)}
        return add_sale("spring", level=1, months=1, price_cents=100, stock=stock, **window).id


def sell_out(site: Site, name: str, count: int, stock: int) -> Finding:
    """Sell `stock` places to `count` buyers, and kill nothing."""
    sale_id = open_sale(site, stock)
    buyers = _queue_up(site, sale_id, site.add_members(count))
    _poll(site, buyers)
    told = sum(buyer.is_told(TicketState.ORDERED) for buyer in buyers)
    strange = sum(buyer.answer.code not in (OK, SOLD_OUT) for buyer in buyers)
    made, _ = _orders(site, sale_id)
    sold, queued = _counted(site, sale_id)
    return Finding(
        f"flash sale, {name}",
        f"{count:,} buyers of {stock} places, {TOGETHER} at the same moment, each task delivered twice",
        f"{stock} orders, at most one per buyer; the sale's count agrees",
        f"{made.total()} orders, {max(made.values(), default=0)} per buyer, {told} buyers told, {sold} counted as "
        f"sold; {queued} tickets left; {strange} other answers",
        made.total() == len(made) == told == sold == stock and not queued and not strange,
    )


def _sell(shop: Shop, database: str, count: int, stock: int) -> Finding:
    site = shop.site
    sale_id = open_sale(site, stock)
    members = site.add_members(count)
    buyers: list[Buyer] = []
    for part in (members[: count // 3], members[count // 3 : 2 * count // 3]):
        worker = _ready_worker(site)
        # Frozen until there is a queue, so that it dies in the midst of its work.
        worker.send(signal.SIGSTOP)
        buyers += _queue_up(site, sale_id, part)
        worker.send(signal.SIGCONT)
        _wait_for_work(worker)
        site.kill_worker()
    buyers += _queue_up(site, sale_id, members[2 * count // 3 :])
    started = time.monotonic()
    _poll(site, buyers)
    seconds = time.monotonic() - started
    told = [buyer for buyer in buyers if buyer.is_told(TicketState.ORDERED)]
    strange = [buyer for buyer in buyers if buyer.answer.code not in (OK, SOLD_OUT)]
    made, _ = _orders(site, sale_id)
    payers = told[::2]
    _pay(site, payers)
    _release(site, sale_id)
    after, states = _orders(site, sale_id)
    sold, queued = _counted(site, sale_id)
    return Finding(
        f"flash sale, {database}",
        f"{count:,} buyers of {stock} places, {TOGETHER} at the same moment, worker killed twice, each task delivered "
        "twice; every second one pays, then the worker is started anew with ORDER_TTL_SECONDS=1",
        f"{stock} orders, at most one per buyer, each paid or released; the sale's count agrees",
        f"{made.total()} orders, {max(made.values(), default=0)} per buyer, {len(told)} buyers told; {queued} tickets "
        f"left, the last served {seconds:.1f} s after the last buyer came; {states['paid']} paid, "
        f"{states['released']} released, {sold} counted as sold; {len(strange)} other answers",
        made.total() == len(made) == len(told) == stock
        and made == after
        and states == {"paid": len(payers), "released": stock - len(payers)}
        and sold == len(payers)
        and not queued
        and not strange,
    )


def _queue_up(site: Site, sale_id: int, members: list[Member]) -> list[Buyer]:
    specs = [member.post("/api/vip/qbuy", sale_id=str(sale_id)) for member in members]
    answers = site.fire(*specs, at_once=TOGETHER)
    buyers = [
        Buyer(member, answer, answer.data if answer.code == OK else {})
        for member, answer in zip(members, answers, strict=True)
    ]
    serve = site.app.extensions["celery"].tasks["vip.serve_ticket"]
    for buyer in buyers:
        if buyer.ticket:
            # As a broker does with what a killed worker has not acknowledged.
            serve.apply_async(args=(buyer.member.id, int(buyer.ticket["ticket"])))
    return buyers


def _ready_worker(site: Site) -> Program:
    assert site.worker is not None, "the shop has a worker"
    site.worker.wait_for_line("ready.")
    return site.worker


def _wait_for_work(worker: Program) -> None:
    """Return when the worker has begun to hand out places."""
    before = worker.output.count("vip.serve_ticket")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while worker.output.count("vip.serve_ticket") < before + THREADS:
        assert time.monotonic() < deadline, "the worker serves no ticket"
        time.sleep(0.002)


def _poll(site: Site, buyers: list[Buyer]) -> None:
    """Ask for the tickets until all are served, or patience is over."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (waiting := [buyer for buyer in buyers if buyer.is_told(TicketState.QUEUED)]) and time.monotonic() < deadline:
        specs = [buyer.member.get(f"/api/vip/qbuy/{buyer.ticket['ticket']}") for buyer in waiting]
        for buyer, answer in zip(waiting, site.fire(*specs, at_once=TOGETHER), strict=True):
            if answer.code == OK:
                buyer.ticket = answer.data
        time.sleep(0.2)


def _pay(site: Site, buyers: list[Buyer]) -> None:
    cashier = Cashier(site)
    for buyer in buyers:
        cashier.pay(site.ask(buyer.member.get(f"/api/vip/orders/{buyer.ticket['order_id']}")).data)
    cashier.join()


def _release(site: Site, sale_id: int) -> None:
    """Let the time of the unpaid orders run out, and have them released at once instead of at the next minute."""
    site.changes["ORDER_TTL_SECONDS"] = "1"
    site.kill_worker()
    del site.changes["ORDER_TTL_SECONDS"]
    time.sleep(1)
    site.app.extensions["celery"].tasks["vip.release_orders"].apply_async()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while _orders(site, sale_id)[1]["pending"] and time.monotonic() < deadline:
        time.sleep(0.1)


def _orders(site: Site, sale_id: int) -> tuple[Counter[int], Counter[str]]:
    """Orders of the sale by buyer, and by state."""
    with site.looking() as session:
        rows = session.execute(select(Order.uid, Order.state).where(Order.sale_id == sale_id)).all()
    return Counter(row.uid for row in rows), Counter(OrderState(row.state).value for row in rows)


def _counted(site: Site, sale_id: int) -> tuple[int, int]:
    """The sale's own count of places, and how many tickets wait."""
    waiting = select(func.count()).where(Ticket.sale_id == sale_id, Ticket.state == TicketState.QUEUED)
    with site.looking() as session:
        return session.get(FlashSale, sale_id).sold, session.scalar(waiting)
