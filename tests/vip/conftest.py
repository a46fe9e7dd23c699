"""A buyer, and a flash sale."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from swiper.clock import now
from swiper.vip.sales import add_sale
from tests.factories import People, Person


@pytest.fixture
def man(people: People) -> Person:
    return people.add()


@pytest.fixture
def open_sale(app: Flask) -> Callable[..., int]:
    """Sets up a sale of 3 months of level 2 for 9.99, open from now for an hour; its id."""

    def add(stock: int, **changes: Any) -> int:
        with app.app_context():
            window = {"starts_at": now(), "ends_at": now() + timedelta(hours=1)}
            sale = add_sale("spring", level=2, months=3, price_cents=999, stock=stock, **window | changes)
            return sale.id

    return add
