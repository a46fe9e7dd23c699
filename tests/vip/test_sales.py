"""Flash sales: as many orders as places, one each, whatever happens meanwhile."""

import functools
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError

from swiper.clock import now
from swiper.errors import ParamError
from swiper.extensions import db
from swiper.profiles.accounts import delete_account
from swiper.tasks.queue import only_one
from swiper.vip import tasks
from swiper.vip.models import FlashSale, Membership, Order, OrderState, Ticket, TicketState
from swiper.vip.orders import unpaid_orders
from swiper.vip.sales import LOST_AFTER_SECONDS, add_sale, lost_tickets, serve_ticket
from tests.factories import Clock, People, Person, at_once
from tests.vip.test_orders import release

NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)


@pytest.fixture
def open_sale(app: Flask) -> Callable[..., int]:
    """Sets up a sale of 3 months of level 2 for 9.99, open from now for an hour; its id."""

    def add(stock: int, **changes: Any) -> int:
        with app.app_context():
            window = {"starts_at": now(), "ends_at": now() + timedelta(hours=1)}
            sale = add_sale("spring", level=2, months=3, price_cents=999, stock=stock, **window | changes)
            return sale.id

    return add


def queue_up(person: Person, sale_id: int) -> Any:
    return person.post("/api/vip/qbuy", sale_id=str(sale_id))


def serve(app: Flask, person: Person, ticket: str) -> None:
    with app.app_context():
        serve_ticket(person.id, int(ticket))


def buy(app: Flask, person: Person, sale_id: int) -> dict[str, Any]:
    """Queue up and be served; the ticket as it then is."""
    answer = queue_up(person, sale_id)
    assert answer.status_code == 200, answer.json
    serve(app, person, answer.json["data"]["ticket"])
    shown: dict[str, Any] = person.get(f"/api/vip/qbuy/{answer.json['data']['ticket']}").json["data"]
    return shown


def pay(person: Person, order_id: str) -> str:
    state: str = person.post(f"/api/vip/payments/sandbox/checkout/{order_id}").json["data"]["state"]
    return state


def assert_exact(app: Flask, sale_id: int) -> Counter[OrderState]:
    """Every place taken is one buyer's order that counts, and no buyer has two; the orders by state."""
    with app.app_context():
        sale = db.session.get_one(FlashSale, sale_id)
        orders = list(db.session.scalars(select(Order).where(Order.sale_id == sale_id)))
        holding = [order for order in orders if order.state in (OrderState.PENDING, OrderState.PAID)]
        assert sale.sold == len(holding) <= sale.stock
        assert len({order.uid for order in holding}) == len(holding)
        ordered = db.session.scalars(select(Ticket).where(Ticket.state == TicketState.ORDERED))
        assert {ticket.order_id for ticket in ordered} == {order.id for order in holding}
        return Counter(order.state for order in orders)


def test_a_purchase_from_beginning_to_end(people: People, app: Flask, open_sale: Callable[..., int]) -> None:
    man, sale_id = people.add(), open_sale(2)
    first = queue_up(man, sale_id).json["data"]
    assert first == {"ticket": first["ticket"], "sale_id": str(sale_id), "state": "queued", "order_id": None}
    serve(app, man, first["ticket"])
    ticket = man.get(f"/api/vip/qbuy/{first['ticket']}").json["data"]
    assert ticket == first | {"state": "ordered", "order_id": ticket["order_id"]}
    order = man.get(f"/api/vip/orders/{ticket['order_id']}").json["data"]
    assert (order["level"], order["months"], order["amount"], order["state"]) == (2, 3, 9.99, "pending")
    assert man.post(order["payment"]["url"]).json["data"]["state"] == "paid"
    assert man.get("/api/vip/me").json["data"]["level"] == 2
    (sale,) = man.get("/api/vip/sales").json["data"]
    assert (sale["id"], sale["name"], sale["price"], sale["stock"], sale["left"]) == (
        str(sale_id),
        "spring",
        9.99,
        2,
        1,
    )
    assert_exact(app, sale_id)


def test_the_task_serves_the_ticket(make_app: Callable[..., Flask], app: Flask, open_sale: Callable[..., int]) -> None:
    eager = make_app()
    eager.extensions["celery"].conf.task_always_eager = True
    man, sale_id = People(eager).add(), open_sale(1)
    ticket = queue_up(man, sale_id).json["data"]["ticket"]
    assert man.get(f"/api/vip/qbuy/{ticket}").json["data"]["state"] == "ordered"


def test_sixty_buyers_of_ten_places_make_ten_orders(people: People, app: Flask, open_sale: Callable[..., int]) -> None:
    sale_id = open_sale(10)
    buyers = [people.add(is_complete=False) for _ in range(60)]
    answers = []
    for start in range(0, 60, 20):
        answers += at_once([functools.partial(queue_up, buyer, sale_id) for buyer in buyers[start : start + 20]])
    assert {answer.status_code for answer in answers} == {200}
    tickets = [(buyer.id, int(answer.json["data"]["ticket"])) for buyer, answer in zip(buyers, answers, strict=True)]

    def work(number: int) -> None:
        # Each worker gets most of the tickets, as when tasks are delivered again and again.
        pick = random.Random(number)
        for uid, ticket_id in pick.sample(tickets, 40):
            with app.app_context():
                serve_ticket(uid, ticket_id)

    at_once([functools.partial(work, number) for number in range(8)])
    for uid, ticket_id in tickets:
        with app.app_context():
            serve_ticket(uid, ticket_id)
    assert assert_exact(app, sale_id) == {OrderState.PENDING: 10}
    with app.app_context():
        states = Counter(db.session.scalars(select(Ticket.state)))
    assert states == {TicketState.ORDERED: 10, TicketState.SOLD_OUT: 50}


def test_buyers_who_queue_while_others_are_served_get_no_more_places(
    people: People, app: Flask, open_sale: Callable[..., int]
) -> None:
    sale_id = open_sale(5)
    buyers = [people.add(is_complete=False) for _ in range(20)]

    def try_to_buy(buyer: Person) -> int:
        answer = queue_up(buyer, sale_id)
        if answer.status_code == 200:
            serve(app, buyer, answer.json["data"]["ticket"])
        code: int = answer.json["code"]
        return code

    codes = at_once([functools.partial(try_to_buy, buyer) for buyer in buyers])
    assert set(codes) <= {0, 1012}
    assert assert_exact(app, sale_id) == {OrderState.PENDING: 5}


def test_asking_again_returns_the_same_ticket(people: People, app: Flask, open_sale: Callable[..., int]) -> None:
    man, sale_id = people.add(), open_sale(3)
    clients = [Person(man.id, man.phone, people.client_of(man.id)) for _ in range(10)]
    answers = at_once([functools.partial(queue_up, client, sale_id) for client in clients])
    assert len({answer.json["data"]["ticket"] for answer in answers}) == 1
    served = buy(app, man, sale_id)
    assert served["state"] == "ordered"
    assert queue_up(man, sale_id).json["data"] == served
    assert assert_exact(app, sale_id) == {OrderState.PENDING: 1}


def test_one_ticket_served_many_times_at_once_makes_one_order(
    people: People, app: Flask, open_sale: Callable[..., int]
) -> None:
    man, sale_id = people.add(), open_sale(10)
    ticket = queue_up(man, sale_id).json["data"]["ticket"]
    at_once([functools.partial(serve, app, man, ticket)] * 10)
    assert assert_exact(app, sale_id) == {OrderState.PENDING: 1}


def test_a_sale_is_open_within_its_window_alone(
    people: People, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id = open_sale(5)
    man, other = people.add(), people.add()
    clock.advance(seconds=-1)
    early = queue_up(man, sale_id)
    clock.moment = NOON
    assert queue_up(man, sale_id).status_code == 200
    clock.moment = NOON + timedelta(hours=1)
    late = queue_up(other, sale_id)
    for answer in (early, late):
        assert (answer.status_code, answer.json["code"]) == (422, 1005)
        assert answer.json["message"] == "The sale is not open."
    assert man.get("/api/vip/sales").json["data"] == []


def test_sales_to_come_are_listed_the_next_to_end_first(
    people: People, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch, NOON)
    later = open_sale(1, starts_at=NOON + timedelta(hours=1), ends_at=NOON + timedelta(hours=3))
    sooner = open_sale(1, ends_at=NOON + timedelta(hours=2))
    open_sale(1, starts_at=NOON - timedelta(hours=2), ends_at=NOON)
    assert [sale["id"] for sale in people.add().get("/api/vip/sales").json["data"]] == [str(sooner), str(later)]


def test_a_sold_out_sale_says_so(people: People, app: Flask, open_sale: Callable[..., int]) -> None:
    sale_id, (man, late, later) = open_sale(1), [people.add() for _ in range(3)]
    ticket = queue_up(late, sale_id).json["data"]["ticket"]
    buy(app, man, sale_id)
    serve(app, late, ticket)
    assert late.get(f"/api/vip/qbuy/{ticket}").json["data"]["state"] == "sold_out"
    for person in (late, later):
        answer = queue_up(person, sale_id)
        assert (answer.status_code, answer.json["code"]) == (409, 1012)
    assert queue_up(man, sale_id).json["data"]["state"] == "ordered"


def test_no_such_sale_or_ticket(people: People, app: Flask, open_sale: Callable[..., int]) -> None:
    man, other, sale_id = people.add(), people.add(), open_sale(1)
    ticket = queue_up(man, sale_id).json["data"]["ticket"]
    for answer in (
        queue_up(man, sale_id + 1),
        man.get("/api/vip/qbuy/1"),
        other.get(f"/api/vip/qbuy/{ticket}"),
    ):
        assert (answer.status_code, answer.json["code"]) == (404, 1009)
    assert man.post("/api/vip/qbuy").json["errors"].keys() == {"sale_id"}


def test_without_a_payment_provider_nobody_queues_up(
    make_app: Callable[..., Flask], open_sale: Callable[..., int], app: Flask
) -> None:
    answer = queue_up(People(make_app(payment_provider="none")).add(), open_sale(1))
    assert (answer.status_code, answer.json["code"]) == (503, 1011)
    with app.app_context():
        assert db.session.scalars(select(Ticket)).all() == []


def test_a_ticket_whose_task_was_lost_is_served_by_the_sweep(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    man, sale_id = people.add(), open_sale(1)
    ticket = int(queue_up(man, sale_id).json["data"]["ticket"])
    with app.app_context():
        clock.advance(seconds=LOST_AFTER_SECONDS)
        assert lost_tickets() == []
        clock.advance(seconds=1)
        assert lost_tickets() == [(man.id, ticket)]
        tasks.sweep_tickets.run()
        assert lost_tickets() == []
    assert assert_exact(app, sale_id) == {OrderState.PENDING: 1}


def test_lost_tickets_are_served_in_the_order_of_the_queue(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id, buyers = open_sale(2), [people.add(is_complete=False) for _ in range(5)]
    for buyer in reversed(buyers):
        queue_up(buyer, sale_id)
        clock.advance(seconds=1)
    clock.advance(seconds=LOST_AFTER_SECONDS)
    tasks.sweep_tickets()
    with app.app_context():
        served = set(db.session.scalars(select(Order.uid)))
    assert served == {buyers[4].id, buyers[3].id}


@pytest.mark.parametrize("name", ["sweep_tickets", "release_orders", "expire_levels"])
def test_a_sweep_runs_alone_and_not_for_ever(
    name: str, people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id, man = open_sale(5, ends_at=NOON + timedelta(days=90)), people.add(vip=1)
    queue_up(people.add(), sale_id)
    man.post("/api/vip/orders", level=1, months=1)
    clock.advance(days=60)

    def left() -> tuple[int, list[int], list[int]]:
        with app.app_context():
            return len(lost_tickets()), unpaid_orders(), list(db.session.scalars(select(Membership.uid)))

    before = left()
    assert before[0] == len(before[1]) == len(before[2]) == 1
    task = getattr(tasks, name)
    with app.app_context(), only_one(name):
        task()
    with monkeypatch.context() as over:
        over.setattr("swiper.tasks.queue.SWEEP_SECONDS", -1)
        task()
    assert left() == before
    task()
    assert left() != before


def test_an_unpaid_place_goes_to_somebody_else(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id, man, other = open_sale(1), people.add(), people.add()
    first = buy(app, man, sale_id)
    assert queue_up(other, sale_id).json["code"] == 1012
    clock.advance(seconds=901)
    assert [release(app), release(app)] == [1, 0]
    assert man.get(f"/api/vip/qbuy/{first['ticket']}").json["data"]["state"] == "released"
    assert_exact(app, sale_id)
    assert buy(app, other, sale_id)["state"] == "ordered"
    assert queue_up(man, sale_id).json["code"] == 1012
    assert_exact(app, sale_id)


def test_releases_at_once_give_a_place_back_once(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id = open_sale(8)
    for _ in range(5):
        buy(app, people.add(is_complete=False), sale_id)
    clock.advance(hours=1)
    assert sum(at_once([functools.partial(release, app)] * 6)) == 5
    assert assert_exact(app, sale_id) == {OrderState.RELEASED: 5}


def test_payment_against_release_keeps_the_books_right(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id = open_sale(6, ends_at=NOON + timedelta(days=1))
    buyers = [people.add(is_complete=False) for _ in range(6)]
    orders = [buy(app, buyer, sale_id)["order_id"] for buyer in buyers]
    clock.advance(hours=1)
    calls: list[Callable[[], Any]] = [
        functools.partial(pay, buyer, number) for buyer, number in zip(buyers, orders, strict=True)
    ]
    at_once([*calls, *[functools.partial(release, app)] * 3])
    # There was a place for everyone, so each payment counts, before its release or after.
    assert assert_exact(app, sale_id) == {OrderState.PAID: 6}


def test_a_late_payment_takes_a_place_that_is_still_free(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id, man = open_sale(1), people.add()
    ticket = buy(app, man, sale_id)
    clock.advance(seconds=901)
    release(app)
    assert pay(man, ticket["order_id"]) == "paid"
    assert man.get(f"/api/vip/qbuy/{ticket['ticket']}").json["data"] == ticket
    assert man.get("/api/vip/me").json["data"]["level"] == 2
    assert assert_exact(app, sale_id) == {OrderState.PAID: 1}


def test_a_late_payment_without_a_free_place_is_to_be_refunded(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id, man, other = open_sale(1), people.add(), people.add()
    ticket = buy(app, man, sale_id)
    clock.advance(seconds=901)
    release(app)
    buy(app, other, sale_id)
    assert [pay(man, ticket["order_id"]) for _ in range(2)] == ["refund_due"] * 2
    assert man.get("/api/vip/me").json["data"]["level"] == 0
    assert assert_exact(app, sale_id) == {OrderState.REFUND_DUE: 1, OrderState.PENDING: 1}


@pytest.fixture
def returned(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> tuple[Person, int, str, str]:
    """A buyer whose order was released and who has ordered again: buyer, sale, first and second order."""
    clock = Clock(monkeypatch, NOON)
    sale_id, man = open_sale(5), people.add()
    first = buy(app, man, sale_id)
    clock.advance(seconds=901)
    release(app)
    second = buy(app, man, sale_id)
    assert first["ticket"] == second["ticket"]
    return man, sale_id, first["order_id"], second["order_id"]


def test_a_late_payment_takes_over_the_place_of_an_unpaid_second_order(
    returned: tuple[Person, int, str, str], app: Flask
) -> None:
    man, sale_id, first, second = returned
    assert pay(man, first) == "paid"
    assert assert_exact(app, sale_id) == {OrderState.PAID: 1, OrderState.RELEASED: 1}
    assert pay(man, second) == "refund_due"
    assert assert_exact(app, sale_id) == {OrderState.PAID: 1, OrderState.REFUND_DUE: 1}


def test_a_late_payment_beside_a_paid_second_order_is_to_be_refunded(
    returned: tuple[Person, int, str, str], app: Flask
) -> None:
    man, sale_id, first, second = returned
    assert [pay(man, second), pay(man, first)] == ["paid", "refund_due"]
    assert assert_exact(app, sale_id) == {OrderState.PAID: 1, OrderState.REFUND_DUE: 1}


def test_paying_both_orders_at_once_buys_once(returned: tuple[Person, int, str, str], app: Flask) -> None:
    man, sale_id, first, second = returned
    other = Person(man.id, man.phone, People(app).client_of(man.id))
    states = at_once([functools.partial(pay, man, first), functools.partial(pay, other, second)])
    assert sorted(states) == ["paid", "refund_due"]
    assert assert_exact(app, sale_id) == {OrderState.PAID: 1, OrderState.REFUND_DUE: 1}


def test_a_late_payment_is_served_before_the_buyers_new_ticket(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id, man = open_sale(5), people.add()
    first = buy(app, man, sale_id)
    clock.advance(seconds=901)
    release(app)
    queue_up(man, sale_id)
    assert pay(man, first["order_id"]) == "paid"
    serve(app, man, first["ticket"])
    assert assert_exact(app, sale_id) == {OrderState.PAID: 1}


def test_deleting_the_account_gives_an_unpaid_place_back(
    people: People, app: Flask, open_sale: Callable[..., int]
) -> None:
    sale_id, man, other = open_sale(1), people.add(), people.add()
    buy(app, man, sale_id)
    with app.app_context():
        delete_account(man.id)
        assert db.session.scalars(select(Order)).all() == db.session.scalars(select(Ticket)).all() == []
    assert buy(app, other, sale_id)["state"] == "ordered"
    assert_exact(app, sale_id)


def test_deleting_the_account_does_not_give_a_paid_or_released_place_back(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id, (paid, released, queued) = open_sale(9), [people.add() for _ in range(3)]
    buy(app, released, sale_id)
    clock.advance(seconds=901)
    release(app)
    pay(paid, buy(app, paid, sale_id)["order_id"])
    queue_up(queued, sale_id)
    with app.app_context():
        for person in (paid, released, queued):
            delete_account(person.id)
        assert db.session.get_one(FlashSale, sale_id).sold == 1
        assert db.session.scalars(select(Order)).all() == []


def test_deleting_the_account_while_its_ticket_is_served_leaves_no_order_and_no_place(
    people: People, app: Flask, open_sale: Callable[..., int]
) -> None:
    sale_id = open_sale(50)
    for _ in range(10):
        man = people.add(is_complete=False)
        ticket = queue_up(man, sale_id).json["data"]["ticket"]

        def delete(uid: int = man.id) -> None:
            with app.app_context():
                delete_account(uid)

        at_once([functools.partial(serve, app, man, ticket), delete])
    assert assert_exact(app, sale_id) == {}
    with app.app_context():
        assert db.session.scalars(select(Ticket)).all() == []


@pytest.mark.parametrize(
    "wrong",
    [{"level": 0}, {"months": 0}, {"price_cents": -1}, {"stock": 0}, {"ends_at": NOON}],
)
def test_a_sale_that_makes_no_sense_is_refused(wrong: dict[str, Any], context: None) -> None:
    right = {
        "level": 1,
        "months": 1,
        "price_cents": 1,
        "stock": 1,
        "starts_at": NOON,
        "ends_at": NOON + timedelta(hours=1),
    }
    with pytest.raises(ParamError):
        add_sale("odd", **right | wrong)  # type: ignore[arg-type]
    assert db.session.scalars(select(FlashSale)).all() == []


def test_the_database_itself_refuses_more_sold_than_stock(open_sale: Callable[..., int], context: None) -> None:
    sale_id = open_sale(1)
    # MariaDB tells it as an operational error, the others as one of integrity.
    with pytest.raises(DBAPIError, match="sold_within_stock"):
        db.session.execute(update(FlashSale).where(FlashSale.id == sale_id).values(sold=2))
    db.session.rollback()


# Places are for those who pay.


def test_a_buyer_may_let_a_place_go_unpaid_twice(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id, other_id = (open_sale(1, ends_at=NOON + timedelta(days=90)) for _ in range(2))
    man, other = people.add(), people.add()
    for _ in range(2):
        assert buy(app, man, sale_id)["state"] == "ordered"
        clock.advance(seconds=901)
        release(app)
    answer = queue_up(man, sale_id)
    assert (answer.status_code, answer.json["code"]) == (422, 1005)
    assert answer.json["message"] == "You have left your place in this sale unpaid too often."
    clock.advance(days=40)
    tasks.purge_released()
    assert queue_up(man, sale_id).status_code == 422
    # Another sale, and another buyer of this one, are not concerned.
    assert buy(app, man, other_id)["state"] == "ordered"
    assert buy(app, other, sale_id)["state"] == "ordered"


def test_a_place_that_was_paid_late_counts_against_nobody(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id, man = open_sale(1, ends_at=NOON + timedelta(days=9)), people.add()
    ticket = buy(app, man, sale_id)
    clock.advance(days=2)
    # Nobody has released it: the beat stood still.
    assert pay(man, ticket["order_id"]) == "refund_due"
    with app.app_context():
        assert db.session.get_one(FlashSale, sale_id).sold == 0
        assert db.session.scalars(select(Ticket.lapses)).one() == 0
    assert buy(app, man, sale_id)["state"] == "ordered"
    assert_exact(app, sale_id)


def test_three_hundred_repeats_make_one_task(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    queued: list[Any] = []
    monkeypatch.setattr("swiper.vip.routes.enqueue", lambda *task: queued.append(task))
    man, sale_id = people.add(), open_sale(3)
    answers = [queue_up(man, sale_id) for _ in range(300)]
    assert len({answer.json["data"]["ticket"] for answer in answers}) == 1
    assert len(queued) == 1
    serve(app, man, answers[0].json["data"]["ticket"])
    queue_up(man, sale_id)
    assert len(queued) == 1


def test_callers_at_the_same_moment_make_one_task(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    queued: list[Any] = []
    monkeypatch.setattr("swiper.vip.routes.enqueue", lambda *task: queued.append(task))
    man, sale_id = people.add(), open_sale(3)
    clients = [Person(man.id, man.phone, people.client_of(man.id)) for _ in range(10)]
    at_once([functools.partial(queue_up, client, sale_id) for client in clients])
    assert len(queued) == 1


def test_a_sale_beyond_what_a_membership_may_have_ahead_is_refused_before_it_is_paid(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch, NOON)
    sale_id, man = open_sale(3), people.add()
    with app.app_context():
        db.session.add(Membership(uid=man.id, level=2, expires_at=NOON + timedelta(days=3_600)))
        db.session.commit()
    answer = queue_up(man, sale_id)
    assert (answer.status_code, answer.json["message"]) == (422, "A membership cannot be extended that far ahead.")


def test_tickets_of_sales_that_are_long_over_are_deleted(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id, (first, second, third) = open_sale(2), [people.add() for _ in range(3)]
    third_ticket = queue_up(third, sale_id).json["data"]["ticket"]
    bought = buy(app, first, sale_id)
    buy(app, second, sale_id)
    serve(app, third, third_ticket)
    pay(first, bought["order_id"])
    clock.advance(seconds=901)
    release(app)
    clock.advance(days=31)
    tasks.purge_released()
    with app.app_context():
        assert list(db.session.scalars(select(Ticket.uid))) == [first.id]
        assert list(db.session.scalars(select(Order.uid))) == [first.id]


WRONG: list[dict[str, Any]] = [
    {"name": ""},
    {"name": " \u200b "},
    {"name": "x" * 65},
    {"name": "\ud800"},
    {"level": 0},
    {"level": 10**30},
    {"months": 0},
    {"months": 37},
    {"months": True},
    {"price_cents": 0},
    {"price_cents": -1},
    {"price_cents": 0.5},
    {"price_cents": float("nan")},
    {"price_cents": 10**9},
    {"stock": 0},
    {"stock": 10**18},
    {"starts_at": datetime(1, 1, 1, tzinfo=UTC)},
    {"starts_at": datetime(9999, 12, 31, tzinfo=UTC)},
    {"ends_at": datetime(9999, 12, 31, tzinfo=UTC)},
    {"ends_at": datetime(2001, 1, 1, tzinfo=UTC)},
]


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_a_sale_of_nonsense_names_the_field_at_fault(wrong: dict[str, Any], app: Flask) -> None:
    (field,) = wrong
    with app.app_context():
        window = {"starts_at": now(), "ends_at": now() + timedelta(hours=1)}
        right: dict[str, Any] = {"name": "x", "level": 1, "months": 1, "price_cents": 1, "stock": 1} | window
        with pytest.raises(ParamError) as caught:
            add_sale(**(right | wrong))
        assert caught.value.errors is not None
        assert list(caught.value.errors) == [field.removesuffix("_cents")]
        assert db.session.scalars(select(FlashSale)).all() == []


def test_the_name_of_a_sale_is_cleaned_and_may_have_64_characters(app: Flask) -> None:
    with app.app_context():
        window = {"starts_at": now(), "ends_at": now() + timedelta(hours=1)}
        sale = add_sale("  " + "春" * 64 + " ", level=1, months=36, price_cents=999_999_999, stock=10_000_000, **window)
        assert (sale.name, sale.price_cents) == ("春" * 64, 999_999_999)
