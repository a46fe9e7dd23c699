"""Addresses and numbers in disguise: a ban or a budget counts whoever it is, however they are written."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.datastructures import Headers

from swiper.auth.login import restore_code
from swiper.auth.models import Phone, SmsOutbox
from swiper.bans.addresses import client_network
from swiper.bans.services import ban_network
from swiper.extensions import db, redis
from swiper.profiles.models import User
from swiper.sms.phone_numbers import parse_phone
from tests.factories import People

pytestmark = pytest.mark.usefixtures("app")

Lines = list[tuple[str, str]]

ATTACKER = "203.0.113.9"
INNOCENT = "198.51.100.1"
# What an attacker sends under the names that an address may come by. Each proxy appends the peer that it saw.
FORGED: dict[str, Lines] = {
    "nothing": [],
    "one address": [("X-Forwarded-For", INNOCENT)],
    "a list": [("X-Forwarded-For", f"{INNOCENT}, 10.0.0.1, 10.0.0.2, 10.0.0.3")],
    "several lines": [("X-Forwarded-For", INNOCENT), ("X-Forwarded-For", "10.0.0.1"), ("x-forwarded-for", INNOCENT)],
    "empty": [("X-Forwarded-For", "")],
    "commas": [("X-Forwarded-For", ",,, ,")],
    "an address and a comma": [("X-Forwarded-For", f"{INNOCENT},")],
    "an open quotation": [("X-Forwarded-For", '"')],
    "an open quotation behind an address": [("X-Forwarded-For", f'{INNOCENT}, "')],
    "an open quotation in a line of its own": [("X-Forwarded-For", INNOCENT), ("X-Forwarded-For", '"x')],
    "a quotation": [("X-Forwarded-For", f'"{INNOCENT}, 10.0.0.1"')],
    "an escaped quotation": [("X-Forwarded-For", f'"{INNOCENT}\\"')],
    "words": [("X-Forwarded-For", "unknown, _hidden, localhost")],
    "an address with a port": [("X-Forwarded-For", f"{INNOCENT}:1234")],
    "an IPv6 address": [("X-Forwarded-For", "[2001:db8::1]:443")],
    "our own address": [("X-Forwarded-For", "127.0.0.1")],
    "much": [("X-Forwarded-For", ", ".join([INNOCENT] * 400))],
    "Forwarded": [("Forwarded", f'for={INNOCENT};proto=https, for="[2001:db8::1]"')],
    "X-Real-IP": [("X-Real-IP", INNOCENT)],
    "True-Client-IP": [("True-Client-IP", INNOCENT)],
    "CF-Connecting-IP": [("CF-Connecting-IP", INNOCENT), ("CF-Connecting-IPv6", "2001:db8::1")],
    "all others": [
        (name, INNOCENT)
        for name in (
            *("Client-IP", "X-Client-IP", "X-Cluster-Client-IP", "X-Originating-IP", "X-Remote-IP", "X-Remote-Addr"),
            *("Remote-Addr", "X-Host", "Fastly-Client-IP", "X-Azure-ClientIP", "X-ProxyUser-Ip", "Via", "From"),
            *("X-Forwarded", "Forwarded-For", "X-Forwarded-By", "X-Forwarded-Host", "X-Forwarded-Server"),
        )
    ],
}
PROXIES = ["10.0.0.1", "10.0.0.2"]


def through(count: int, peer: str, forged: Lines) -> dict[str, Any]:
    """A request from `peer` as it looks to us behind `count` proxies that append: headers and our own peer."""
    hops = [peer, *PROXIES[:count]]
    headers = Headers(forged)
    for hop in hops[:-1]:
        headers.add("X-Forwarded-For", hop)
    return {"headers": headers, "environ_base": {"REMOTE_ADDR": hops[-1]}}


@pytest.fixture(params=[0, 1, 2], ids=["no proxy", "one proxy", "two proxies"])
def proxies(request: pytest.FixtureRequest) -> int:
    count: int = request.param
    return count


def ban(app: Flask, network: str) -> None:
    with app.app_context():
        ban_network(network)
        db.session.remove()


def is_refused(client: FlaskClient, **request: Any) -> bool:
    answer = client.get("/api/user/profile", **request)
    assert (answer.status_code, answer.json["code"]) in ((403, 1010), (401, 1001))
    return bool(answer.status_code == 403)


def test_no_header_frees_a_banned_address_or_bans_another(
    make_app: Callable[..., Flask], app: Flask, proxies: int
) -> None:
    ban(app, ATTACKER)
    client = make_app(trusted_proxies=proxies).test_client()
    for name, lines in FORGED.items():
        assert is_refused(client, **through(proxies, ATTACKER, lines)), name
        framing = [(header, value.replace(INNOCENT, ATTACKER)) for header, value in lines]
        assert not is_refused(client, **through(proxies, INNOCENT, framing)), name


def test_no_header_opens_a_second_budget_of_messages(make_app: Callable[..., Flask], app: Flask, proxies: int) -> None:
    client = make_app(trusted_proxies=proxies, sms_per_ip_per_day=2).test_client()
    codes = []
    for number, lines in enumerate(FORGED.values(), 13_800_000_000):
        answer = client.post("/api/user/verify", json={"phonenum": str(number)}, **through(proxies, ATTACKER, lines))
        codes.append(answer.json["code"])
    assert codes == [0, 0] + [1006] * (len(FORGED) - 2)
    other = client.post("/api/user/verify", json={"phonenum": "13900139000"}, **through(proxies, INNOCENT, []))
    assert other.json["code"] == 0
    with app.app_context():
        assert len(redis.client.keys("sms:ip:*")) == 2


def test_no_header_opens_a_second_budget_of_logins(make_app: Callable[..., Flask], proxies: int) -> None:
    client = make_app(trusted_proxies=proxies, login_per_ip_per_minute=3).test_client()
    login = {"phonenum": "13800138000", "vcode": "000000"}
    codes = [
        client.post("/api/user/login", json=login, **through(proxies, ATTACKER, lines)).json["code"]
        for lines in FORGED.values()
    ]
    assert codes == [1000] * 3 + [1006] * (len(FORGED) - 3)
    assert client.post("/api/user/login", json=login, **through(proxies, INNOCENT, [])).json["code"] == 1000


def test_a_proxy_that_forwards_the_port_gives_nobody_a_new_address(make_app: Callable[..., Flask], app: Flask) -> None:
    ban(app, ATTACKER)
    ban(app, "2001:db8::/64")
    client = make_app(trusted_proxies=1, sms_per_ip_per_day=2).test_client()
    for port in (1, 443, 65535):
        for peer in (f"{ATTACKER}:{port}", f"[2001:db8::9]:{port}", f"[::ffff:{ATTACKER}]:{port}", "[2001:db8::9]"):
            assert is_refused(client, **through(1, peer, [])), peer
        assert not is_refused(client, **through(1, f"{INNOCENT}:{port}", []))
    codes = [
        client.post(
            "/api/user/verify", json={"phonenum": str(13_800_000_000 + port)}, **through(1, f"{INNOCENT}:{port}", [])
        ).json["code"]
        for port in range(4)
    ]
    assert codes == [0, 0, 1006, 1006]


def test_what_is_no_address_shares_one_budget() -> None:
    odd = ["", "unix:", "unknown", "_hidden", "1.2.3", "1.2.3.4.5", "x" * 500, "::g", "[", "[]", ":1", "\udcff"]
    assert {client_network(text) for text in odd} == {""}


# --- one address in several spellings ---

ONE_ADDRESS = {
    "IPv4": [ATTACKER, f"::ffff:{ATTACKER}", "::FFFF:203.0.113.9", "::ffff:cb00:7109", "0:0:0:0:0:ffff:cb00:7109"],
    "IPv6": [
        *("2001:db8::a", "2001:DB8::A", "2001:0db8:0000:0000:0000:0000:0000:000a", "2001:db8:0:0:0:0:0:a"),
        *("2001:db8::0:a", "2001:db8:0::a", "2001:db8::0.0.0.10"),
    ],
}


@pytest.mark.parametrize("spellings", ONE_ADDRESS.values(), ids=list(ONE_ADDRESS))
def test_one_address_is_one_however_it_is_written(
    make_app: Callable[..., Flask], app: Flask, spellings: list[str]
) -> None:
    """Banned by any spelling, met in any other; with a budget that is one for all of them."""
    client = make_app(sms_per_ip_per_day=1, login_per_ip_per_minute=1).test_client()
    login = {"phonenum": "13800138000", "vcode": "000000"}
    sent, tried = [], []
    for number, address in enumerate(spellings, 13_800_000_000):
        peer = {"environ_base": {"REMOTE_ADDR": address}}
        sent.append(client.post("/api/user/verify", json={"phonenum": str(number)}, **peer).json["code"])
        tried.append(client.post("/api/user/login", json=login, **peer).json["code"])
    assert sent == [0] + [1006] * (len(spellings) - 1)
    assert tried == [1000] + [1006] * (len(spellings) - 1)
    for banned in spellings:
        with app.app_context():
            db.session.execute(db.metadata.tables["ip_bans"].delete())
            db.session.commit()
        ban(app, banned)
        for address in spellings:
            assert is_refused(client, environ_base={"REMOTE_ADDR": address}), f"{banned} {address}"
        assert not is_refused(client, environ_base={"REMOTE_ADDR": INNOCENT})


def test_hosts_of_one_ipv6_network_are_one_subscriber(make_app: Callable[..., Flask], app: Flask) -> None:
    """A subscriber has 2^64 addresses to themself, so each host of them may ask with the budget of one."""
    client = make_app(sms_per_ip_per_day=2, login_per_ip_per_minute=2).test_client()
    hosts = [f"2001:db8:1:2:{host:x}:{host:x}:{host:x}:{host:x}" for host in (0, 1, 0xABC, 0xFFFF)]
    login = {"phonenum": "13800138000", "vcode": "000000"}
    sent, tried = [], []
    for number, host in enumerate(hosts, 13_800_000_000):
        peer = {"environ_base": {"REMOTE_ADDR": host}}
        sent.append(client.post("/api/user/verify", json={"phonenum": str(number)}, **peer).json["code"])
        tried.append(client.post("/api/user/login", json=login, **peer).json["code"])
    assert sent == [0, 0, 1006, 1006]
    assert tried == [1000, 1000, 1006, 1006]
    neighbour = {"environ_base": {"REMOTE_ADDR": "2001:db8:1:3::1"}}
    assert client.post("/api/user/verify", json={"phonenum": "13900139000"}, **neighbour).json["code"] == 0
    ban(app, "2001:DB8:1:2::/64")
    assert all(is_refused(client, environ_base={"REMOTE_ADDR": host}) for host in hosts)
    assert not is_refused(client, **neighbour)


# --- one number in several spellings ---

STORED = "+8613800138000"
SAME_NUMBER = {
    "plain": "13800138000",
    "E.164": "+8613800138000",
    "country without a sign": "8613800138000",
    "country with zeros": "008613800138000",
    "country with a sign and zeros": "+008613800138000",
    "country with spaces": "00 86 138 0013 8000",
    "trunk zero": "013800138000",
    "country and trunk zero": "+86 (0) 138-0013-8000",
    "carrier prefix": "17951 13800138000",
    "spaces": "  138 0013 8000  ",
    "dashes": "1-3-8-0-0-1-3-8-0-0-0",
    "dots": "138.0013.8000",
    "brackets": "(138) 0013 8000",
    "no-break and ideographic spaces": "138\u00a00013\u30008000",
    "full-width": "１３８００１３８０００",
    "full-width country": "＋８６１３８００１３８０００",
    "half full-width": "138００１３8０００",
    "superscript": "¹³⁸⁰⁰¹³⁸⁰⁰⁰",
    "circled": "①③⑧⓪⓪①③⑧⓪⓪⓪",
    "mathematical bold": "𝟏𝟑𝟖𝟎𝟎𝟏𝟑𝟖𝟎𝟎𝟎",
    "tabs and line ends around": "\t13800138000\r\n",
    "Arabic-Indic": "١٣٨٠٠١٣٨٠٠٠",
    "Persian": "۱۳۸۰۰۱۳۸۰۰۰",
    "Devanagari": "१३८००१३८०००",
    "zero-width space": "138\u200b00138000",
    "zero-width joiner": "13800138000\u200d",
    "zero-width no-break space": "\ufeff13800138000",
    "soft hyphen": "138\u00ad00138000",
    "word joiner": "138\u206000138000",
    "variation selector": "1\ufe0f3800138000",
    "line end inside": "138\n00138000",
    "URI": "tel:+8613800138000",
}
NO_NUMBER = {
    "Chinese numerals": "一三八〇〇一三八〇〇〇",
    "right-to-left mark": "\u202e00083100831",
    "combining mark": "13800138000\u0301",
    "null": "13800138000\x00",
    "two signs": "++8613800138000",
    "sign behind": "13800138000+",
    "country twice": "+86+8613800138000",
    "extension": "13800138000 ext. 5",
    "short extension": "13800138000x5",
    "capital extension": "13800138000 EXT5",
    "hash extension": "13800138000#5",
    "comma extension": "13800138000,5",
    "pause extension": "13800138000;5",
    "URI with an extension": "tel:+8613800138000;ext=5",
    "URI with a context": "13800138000;phone-context=+86",
    "two numbers": "13800138000/13900139000",
    "letters": "138001380OO",
    "percent": "%2B8613800138000",
    "a mail address": "13800138000@example.com",
}


def held(app: Flask) -> tuple[int, int, int]:
    """How many numbers are locked, how many messages wait, how many accounts there are."""
    with app.app_context():
        counts = [db.session.scalar(select(func.count()).select_from(model)) or 0 for model in (SmsOutbox, User)]
        phones = db.session.scalars(select(Phone.phone)).all()
        assert len(phones) == counts[1]
        return len(redis.client.keys("{p:*}:lock")), *counts


@pytest.mark.parametrize("how", ["json", "data", "query_string"])
def test_all_spellings_of_a_number_get_one_message_a_minute(app: Flask, client: FlaskClient, how: str) -> None:
    method = "GET" if how == "query_string" else "POST"
    assert client.open("/api/user/verify", method=method, **{how: {"phonenum": STORED}}).json["code"] == 0
    for name, text in SAME_NUMBER.items():
        answer = client.open("/api/user/verify", method=method, **{how: {"phonenum": text}})
        assert (name, answer.status_code, answer.json["code"]) == (name, 429, 1006)
    for name, text in NO_NUMBER.items():
        answer = client.open("/api/user/verify", method=method, **{how: {"phonenum": text}})
        assert (name, answer.status_code, answer.json["code"]) == (name, 422, 1005)
    assert held(app) == (1, 1, 0)


def test_all_spellings_of_a_number_are_one_account(app: Flask) -> None:
    ids = set()
    for name, text in SAME_NUMBER.items():
        with app.app_context():
            restore_code(STORED, "123456", 60_000)
        answer = app.test_client().post("/api/user/login", json={"phonenum": text, "vcode": "123456"})
        assert (name, answer.status_code) == (name, 200)
        ids.add(answer.json["data"]["id"])
    assert len(ids) == 1
    for name, text in NO_NUMBER.items():
        answer = app.test_client().post("/api/user/login", json={"phonenum": text, "vcode": "123456"})
        assert (name, answer.json["code"]) == (name, 1005)
    assert held(app)[2] == 1


def test_all_spellings_of_a_number_share_its_guesses(app: Flask, client: FlaskClient, people: People) -> None:
    client.post("/api/user/verify", json={"phonenum": STORED})
    code = people.sent_code()
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    for text in list(SAME_NUMBER.values())[:5]:
        assert client.post("/api/user/login", json={"phonenum": text, "vcode": wrong}).json["code"] == 1000
    assert client.post("/api/user/login", json={"phonenum": STORED, "vcode": code}).json["code"] == 1000


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize(
    "spellings",
    [
        ["+85251234567", "00852 5123 4567", "+852-5123-4567", "＋８５２５１２３４５６７"],
        ["+447911123456", "+44 (0)7911 123456", "+4407911123456", "0044 7911 123456"],
        ["+5491123456789", "+54 9 11 2345 6789", "+54 11 15 2345 6789", "+54 011 15 2345 6789"],
        ["+819012345678", "+81 090 1234 5678", "0081 90-1234-5678"],
        ["+393123456789", "+39 312 345 6789", "0039 3123456789"],
    ],
    ids=lambda spellings: spellings[0],
)
def test_other_countries_have_one_number_for_all_spellings_too(spellings: list[str]) -> None:
    assert {parse_phone(text) for text in spellings} == {spellings[0]}
