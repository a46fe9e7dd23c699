"""The queue of a flash sale: one ticket for each buyer, each served once, none lost."""

import functools
import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from swiper.extensions import db
from swiper.profiles.accounts import delete_account
from swiper.tasks.queue import only_one
from swiper.vip import tasks
from swiper.vip.models import Membership, Order, OrderState, Ticket, TicketState
from swiper.vip.orders import unpaid_orders
from swiper.vip.sales import LOST_AFTER_SECONDS, lost_tickets, serve_ticket
from tests.factories import Clock, People, Person, at_once
from tests.vip.buyers import NOON, assert_exact, buy, queue_up, serve


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
