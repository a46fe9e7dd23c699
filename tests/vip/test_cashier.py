"""The cashier: signed links to its page and signed notices from it."""

import hashlib
import hmac
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask

from tests.factories import People
from tests.vip.test_orders import order, states
from tests.vip.test_payments import notice, send

SECRET = "a shared secret of forty characters, or so"


@pytest.fixture
def shop(make_app: Callable[..., Flask], app: Flask) -> Flask:
    """An application whose cashier is the operator's own."""
    return make_app(payment_provider="cashier", payment_secret=SECRET, payment_checkout_url="https://cash.example/pay")


def signed(purpose: str, text: bytes, secret: str = SECRET) -> str:
    """A signature as the module of the cashier describes it."""
    return hmac.new(secret.encode(), purpose.encode() + b"\n" + text, hashlib.sha256).hexdigest()


def test_the_cashier_gets_a_signed_link_and_sends_a_signed_notice(shop: Flask) -> None:
    man = People(shop).add()
    made = order(man)
    assert made["payment"]["provider"] == "cashier"
    url = urlsplit(made["payment"]["url"])
    assert f"{url.scheme}://{url.netloc}{url.path}" == "https://cash.example/pay"
    text, _, signature = url.query.rpartition("&signature=")
    assert text == f"order_id={made['id']}&amount_cents=3000&currency=CNY"
    assert signature == signed("swiper-link", text.encode())
    body = notice(made["id"])
    answer = send(shop, body, provider="cashier", signature=signed("swiper-notice", body).upper())
    assert answer.json["data"] == {"state": "paid"}
    assert man.get("/api/vip/me").json["data"]["level"] == 2


def test_nothing_that_we_sign_for_others_is_a_right_signature_of_a_notice(shop: Flask, app: Flask) -> None:
    man = People(shop).add()
    made = order(man)
    body = notice(made["id"])
    for purpose in ("swiper-link", "", "swiper-notice\n", "swiper-"):
        answer = send(shop, body, provider="cashier", signature=signed(purpose, body))
        assert (answer.status_code, answer.json["code"]) == (403, 1014)
    plain = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert send(shop, body, provider="cashier", signature=plain).status_code == 403
    text, _, signature = urlsplit(made["payment"]["url"]).query.rpartition("&signature=")
    assert send(shop, text.encode(), provider="cashier", signature=signature).status_code == 403
    sandbox = app.extensions["payment"]
    assert sandbox.sign(body) != sandbox.sign_link(body.decode())
    assert states(shop) == ["pending"]


@pytest.mark.parametrize(
    ("page", "before", "fragment"),
    [
        ("https://cash.example/pay", "", ""),
        ("https://cash.example", "", ""),
        ("https://cash.example/pay?", "", ""),
        ("https://cash.example/pay?shop=7", "shop=7&", ""),
        ("https://cash.example/pay?shop=7&", "shop=7&", ""),
        ("https://cash.example/pay?shop=%E5%BA%97&x=#/checkout", "shop=%E5%BA%97&x=&", "/checkout"),
        ("http://127.0.0.1:8080/pay#top", "", "top"),
    ],
)
def test_the_address_of_the_cashier_keeps_its_query_and_fragment(
    page: str, before: str, fragment: str, make_app: Callable[..., Flask], app: Flask
) -> None:
    shop = make_app(payment_provider="cashier", payment_secret=SECRET, payment_checkout_url=page)
    url = urlsplit(shop.extensions["payment"].checkout_url(5, 3000, "CNY"))
    text = "order_id=5&amount_cents=3000&currency=CNY"
    assert url.query == f"{before}{text}&signature={signed('swiper-link', text.encode())}"
    assert (url.fragment, page.startswith(f"{url.scheme}://{url.netloc}{url.path}")) == (fragment, True)
    assert parse_qs(url.query)["order_id"] == ["5"]


@pytest.mark.parametrize(
    "page", ["cash.example/pay", "ftp://cash.example", "https://", "javascript:x", "https://c.example?order_id=1"]
)
def test_an_address_that_no_order_could_be_added_to_stops_the_start(page: str, make_app: Callable[..., Flask]) -> None:
    with pytest.raises(ValueError, match="PAYMENT_CHECKOUT_URL"):
        make_app(payment_provider="cashier", payment_secret=SECRET, payment_checkout_url=page)


def test_beside_a_real_cashier_there_is_no_sandbox(shop: Flask) -> None:
    man = People(shop).add()
    made = order(man)
    assert man.post(f"/api/vip/payments/sandbox/checkout/{made['id']}").status_code == 404
    assert send(shop, notice(made["id"]), provider="sandbox").status_code == 404
    assert states(shop) == ["pending"]


def test_an_unknown_provider_stops_the_start(make_app: Callable[..., Flask]) -> None:
    with pytest.raises(ValueError, match="PAYMENT_PROVIDER"):
        make_app(payment_provider="barter")
