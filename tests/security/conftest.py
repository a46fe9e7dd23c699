"""A world with a person for each role."""

import itertools
from datetime import timedelta

import pytest
from flask import Flask

from swiper.clock import now
from swiper.extensions import db
from swiper.vip.sales import add_sale
from tests.factories import People
from tests.security.roles import World, picture


@pytest.fixture
def world(app: Flask, people: People) -> World:
    """The owner's world, with a stranger in it."""
    owner, friend = people.add(), people.woman()
    owner.like(friend)
    friend.like(owner)
    order = owner.post("/api/vip/orders", level=1, months=1).json["data"]["id"]
    with app.app_context():
        day = timedelta(days=1)
        window = {"starts_at": now() - day, "ends_at": now() + day}
        sale = add_sale("秒杀", level=1, months=1, price_cents=100, stock=9, **window).id
        db.session.remove()
    ticket = owner.post("/api/vip/qbuy", sale_id=str(sale)).json["data"]["ticket"]
    photo = owner.client.post("/api/user/photos", data={"photo": picture()}).json["data"]
    women = (people.woman() for _ in itertools.count())
    people.client_of(owner.id)
    session = owner.get("/api/user/sessions").json["data"]["items"][-1]["id"]
    ids = {
        "session": session,
        **{"user": owner.id, "order": order, "sale": sale, "ticket": ticket, "photo": photo["id"]},
        **{"media": photo["url"].removeprefix("/media/"), "portrait": "male/5", "level": 1},
    }
    return World(app, people, app.test_client(), owner, friend, women, ids)
