"""Whatever bytes and texts come in, each parser reads them as documented or refuses them in the service's own words.

The inputs are the same in every run; `FUZZ_EXAMPLES=5000 FUZZ_SEED=1 pytest tests/fuzz` looks further.
"""

import ipaddress
import json
import os
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes, urlencode

import phonenumbers
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, example, given, seed, settings
from hypothesis import strategies as st
from sqlalchemy import select

from swiper.bans.addresses import client_network, parse_address, parse_network
from swiper.bans.models import IpBan
from swiper.errors import ParamError
from swiper.extensions import db
from swiper.http.hooks import REQUEST_ID
from swiper.ids import MAX_ID
from swiper.sms.phone_numbers import parse_phone
from swiper.social.deck import LAST_GROUP
from swiper.vip.models import Order
from tests.endpoints import BODIES
from tests.factories import People, Person
from tests.http.test_bad_input import FORM, ID_PATHS, JSON, state_of

EXAMPLES = max(80, int(os.environ.get("FUZZ_EXAMPLES", "0")))
SEED = int(os.environ.get("FUZZ_SEED", "20240229"))


def fuzz(factor: int = 1) -> Callable[[Any], Any]:
    """Reproducible examples; what is refused leaves nothing behind, so one application serves all of a test."""
    how = settings(
        max_examples=factor * EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    return lambda test: how(seed(SEED)(test))


# Paths whose body has to name something, so that no accident makes it valid.
DEMANDING = st.sampled_from(
    ["/api/user/verify", "/api/user/login", "/api/social/like", "/api/social/unfriend", "/api/vip/orders"]
)
PATHS_OF_IDS = st.sampled_from(ID_PATHS)
NASTY = st.sampled_from(["", "\x00", "\ud800", "\u202e", "５", "٥", "1" * 5000, "null", "NaN", "'", "%s", "{", "\r\n"])
TEXTS = st.one_of(st.text(max_size=30), NASTY, st.text("0123456789+-. ", max_size=25))
# Headers travel as Latin-1; a server in front lets no control character through.
HEADER_TEXTS = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=200)


@pytest.fixture
def person(people: People) -> Person:
    return people.add(vip=3)


@pytest.fixture
def unchanged(app: Flask, person: Person) -> Iterator[None]:
    """The whole test leaves everything as it was."""
    before = state_of(app)
    yield
    assert state_of(app) == before


def check_refusal(answer: Any, statuses: set[int]) -> None:
    """The envelope of an error with one of `statuses`."""
    assert answer.status_code in statuses, answer.get_data(as_text=True)[:300]
    assert answer.mimetype == JSON
    body = answer.json
    assert body["code"] > 0
    assert isinstance(body["message"], str)
    assert all(isinstance(reason, str) for reasons in body.get("errors", {}).values() for reason in reasons)


# Phone numbers

NUMBERS = {
    "+8613800138000": "138 0013 8000",
    "+8619912345678": "199 1234 5678",
    "+85261234567": "+852 6123 4567",
    "+12025550123": "+1 202 555 0123",
}
SCRIPTS = ["0123456789", "٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹", "०१२३४५६७८९", "০১২৩৪৫৬৭৮৯", "๐๑๒๓๔๕๖๗๘๙"]
TWO_NUMBERS = "This can be two numbers: send its plus as %2B, or write 00 and the country code."
WIDE = str.maketrans("0123456789+()-. ", "０１２３４５６７８９＋（）－．\u3000")


@st.composite
def spellings(draw: st.DrawFn) -> tuple[str, str]:
    """A number in E.164, and the same number as somebody might type it."""
    plain, typed = draw(st.sampled_from(sorted(NUMBERS.items())))
    if plain.startswith("+86"):
        typed = draw(st.sampled_from(["", "+86", "+86 ", "0086", "0086 "])) + typed
    typed = typed.replace(" ", draw(st.sampled_from(["", " ", "-", ".", "\u00a0", "\u2013", "\u2212", "\u2060"])))
    typed = draw(st.sampled_from(["{}", "tel:{}", "Tel: {}", "({}"])).format(typed)
    widened = [draw(st.booleans()) for _ in typed]
    typed = "".join(c.translate(WIDE) if is_wide else c for c, is_wide in zip(typed, widened, strict=True))
    typed = typed.translate(str.maketrans("0123456789", draw(st.sampled_from(SCRIPTS))))
    mark = draw(st.sampled_from(["", *"\u200e\u200f\u202a\u202d\u2066\ufeff\u00ad\ufe0f"]))
    typed = mark + mark.join(typed) + draw(st.sampled_from(["", "\u202c", "\u2069"]))
    around = st.text(" \t\n\u3000\u00a0", max_size=3)
    return plain, draw(around) + typed + draw(around)


@pytest.mark.usefixtures("context")
@fuzz(4)
@given(text=st.one_of(TEXTS, st.from_regex(r"\+?[0-9 ().\-]{5,32}", fullmatch=True), st.integers().map(str)))
@example(text="21000000000")
@example(text="138001380000000000000000000000000")
def test_a_text_is_a_number_in_its_one_form_or_refused(text: str) -> None:
    try:
        number = parse_phone(text)
    except ParamError as error:
        assert error.errors in ({"phonenum": ["Not a valid phone number."]}, {"phonenum": [TWO_NUMBERS]})
        return
    assert re.fullmatch(r"\+[1-9][0-9]{6,14}", number)
    assert phonenumbers.is_valid_number(phonenumbers.parse(number))
    assert parse_phone(number) == number


@pytest.mark.usefixtures("context")
@fuzz(4)
@given(spelling=spellings())
def test_all_spellings_of_a_number_are_one(spelling: tuple[str, str]) -> None:
    plain, typed = spelling
    assert parse_phone(typed) == plain


@pytest.mark.usefixtures("context")
@fuzz(4)
@given(
    number=st.one_of(
        st.from_regex("[1-9][0-9]{6,14}", fullmatch=True), st.from_regex("1[3-9][0-9][2-9][0-9]{7}", fullmatch=True)
    )
)
def test_no_text_means_one_number_to_us_and_another_to_its_sender(number: str) -> None:
    """The text of a client that escaped no plus, beside the same text with its plus."""

    def read(text: str) -> str | None:
        try:
            return parse_phone(text)
        except ParamError:
            return None

    bare, plus, either = read(number), read(f"+{number}"), read(f" {number}")
    assert either in (bare, plus, None)
    assert either is None or None in (bare, plus) or bare == plus


# Ids in a path


@pytest.mark.usefixtures("unchanged")
@fuzz(2)
@given(
    target=PATHS_OF_IDS,
    text=st.one_of(TEXTS, st.integers(-5, 2**70).map(str), st.binary(max_size=12).map(quote_from_bytes)),
)
@example(target=ID_PATHS[0], text="+5")
@example(target=ID_PATHS[0], text="0" * 19)
def test_a_text_that_is_nobodys_id_is_not_found(person: Person, target: tuple[str, str], text: str) -> None:
    method, path = target
    address = path.format(text if "%" in text else quote(text.encode(errors="surrogatepass"), safe=""))
    answer = person.client.open(address, method=method)
    if answer.status_code == 308:
        # Werkzeug takes two slashes for one.
        assert b"//" in unquote_to_bytes(address)
        answer = person.client.open(answer.location, method=method)
    check_refusal(answer, {404})


@fuzz()
@given(zeros=st.integers(0, 8), offset=st.integers(-3, 3))
def test_an_id_means_the_same_however_many_zeros_it_has(person: Person, zeros: int, offset: int) -> None:
    text = str(person.id + offset)
    plain, padded = person.get(f"/api/user/{text}"), person.get(f"/api/user/{'0' * zeros}{text}")
    assert plain.status_code == (404 if offset else 200)
    # No id has more digits than the greatest.
    is_too_long = zeros + len(text) > len(str(MAX_ID))
    assert padded.status_code == (404 if is_too_long else plain.status_code)
    assert is_too_long or padded.json == plain.json
    check_refusal(person.get(f"/api/user/{text.translate(WIDE)}"), {404})


@pytest.mark.usefixtures("unchanged")
@fuzz()
@given(
    target=PATHS_OF_IDS,
    number=st.one_of(st.integers(2**63 - 5, 2**63 + 5), st.integers(2**64 - 5, 2**64 + 5), st.integers(10**18)),
)
def test_a_number_beyond_all_ids_is_not_found(person: Person, target: tuple[str, str], number: int) -> None:
    method, path = target
    check_refusal(person.client.open(path.format(number), method=method), {404})


# Numbers in a query

RANGES = {
    ("/api/social/friends", "page"): (1, 100_000),
    ("/api/social/friends", "per_page"): (1, 100),
    ("/api/social/liked_me", "page"): (1, 100_000),
    ("/api/social/users", "group_num"): (0, LAST_GROUP),
}


@fuzz(2)
@given(
    target=st.sampled_from(sorted(RANGES)),
    value=st.one_of(TEXTS, st.integers(-3, 103).map(str), st.integers().map(str), st.floats().map(str)),
)
def test_a_number_in_a_query_is_read_or_refused_by_its_name(
    person: Person, target: tuple[str, str], value: str
) -> None:
    path, field = target
    least, most = RANGES[target]
    answer = person.client.get(f"{path}?{field}={quote(value.encode(errors='surrogatepass'))}")
    if re.fullmatch("-?[0-9]{1,18}", value, re.ASCII) and least <= int(value) <= most:
        assert answer.status_code == 200
        assert field != "page" or answer.json["data"]["page"] == int(value)
    else:
        check_refusal(answer, {422})
        assert list(answer.json["errors"]) == [field]


# Bodies


def written(value: Any) -> str:
    """JSON of `value`, in which a list of pairs is an object and may name a field twice."""
    if isinstance(value, list) and value and all(isinstance(pair, tuple) for pair in value):
        return "{" + ",".join(f"{json.dumps(name)}:{written(field)}" for name, field in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    TEXTS,
    st.sampled_from([2**63, -(2**63), 10**400, 5.0, -0.0, float("nan"), float("inf")]),
)
NAMES = st.one_of(
    st.sampled_from(["sid", "phonenum", "vcode", "level", "months", "sale_id", "all", "__proto__", "\ud800"]), TEXTS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.lists(st.tuples(NAMES, inner), min_size=1, max_size=4)),
    max_leaves=8,
)
OBJECTS = st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=4)


@pytest.mark.usefixtures("unchanged")
@fuzz(4)
@given(
    path=DEMANDING,
    body=st.one_of(st.binary(max_size=60), st.one_of(VALUES, OBJECTS).map(written).map(str.encode)),
)
@example(path="/api/social/like", body=b"[" * 60_000)
@example(path="/api/social/like", body=b'{"a":' * 10_000)
@example(path="/api/social/like", body=b'"\\ud800"')
def test_a_body_that_is_not_the_wanted_json_is_refused(person: Person, path: str, body: bytes) -> None:
    check_refusal(person.client.post(path, data=body, content_type=JSON), {400, 404, 422})


@pytest.mark.parametrize("charset", ["gbk", "utf-16", "latin-1", "utf-7"])
def test_json_that_says_it_is_no_utf_8_is_refused(person: Person, charset: str) -> None:
    """Some text of another encoding is UTF-8 as well, and would be saved as other characters: 猫 in GBK is è."""
    for text in ('{"bio": "猫"}'.encode("gbk"), '{"bio": "日本"}'.encode()):
        answer = person.client.post("/api/user/profile/modify", data=text, content_type=f"{JSON}; charset={charset}")
        check_refusal(answer, {415})


@pytest.mark.parametrize("charset", ["", "; charset=utf-8"])
def test_json_is_read_as_utf_8_alone(person: Person, charset: str) -> None:
    """RFC 8259, 8.1: always UTF-8, and no mark before it."""
    path, kind = "/api/user/profile/modify", JSON + charset
    for codec in ("utf-8-sig", "utf-16", "utf-16-be", "utf-32", "gbk", "shift_jis"):
        check_refusal(person.client.post(path, data='{"bio": "日本"}'.encode(codec), content_type=kind), {400})
    check_refusal(person.client.post(path, data='{"bio": "é"}'.encode("latin-1"), content_type=kind), {400})
    answer = person.client.post(path, data='{"bio": "日本"}'.encode(), content_type=kind)
    assert answer.json["data"]["bio"] == "日本"


@pytest.mark.parametrize("path", BODIES)
def test_a_field_named_twice_in_json_is_refused(app: Flask, person: Person, path: str) -> None:
    good, code = BODIES[path]
    before = state_of(app)
    for name, value in good.items():
        rest = [(other, field) for other, field in good.items() if other != name]
        for second in (value, None, "x"):
            answer = person.client.post(path, data=written([(name, value), *rest, (name, second)]), content_type=JSON)
            check_refusal(answer, {422})
            assert (answer.json["code"], list(answer.json["errors"])) == (code, [name])
    assert state_of(app) == before


@pytest.mark.parametrize(
    ("path", "field", "wrong"),
    [
        ("/api/vip/orders", "level", ["1", "1.0", "-1", " 1"]),
        ("/api/vip/orders", "months", ["1", "１"]),
        ("/api/user/logout", "all", ["true", "on", "1", "", "yes", 1, 0, 1.0]),
        ("/api/user/profile/modify", "only_match", ["false", "off", 0, 0.0]),
        ("/api/user/profile/modify", "min_dating_age", ["20", "020"]),
    ],
)
def test_json_says_numbers_and_booleans_in_its_own_types(
    app: Flask, person: Person, path: str, field: str, wrong: list[Any]
) -> None:
    before = state_of(app)
    for value in wrong:
        answer = person.client.post(path, json=BODIES[path][0] | {field: value})
        check_refusal(answer, {422})
        assert list(answer.json["errors"]) == [field]
    assert state_of(app) == before


@pytest.mark.parametrize(("word", "meaning"), [("true", True), ("on", True), ("1", True), ("off", False), ("0", False)])
def test_a_form_says_them_in_words(person: Person, word: str, meaning: bool) -> None:
    answer = person.client.post("/api/user/profile/modify", data={"only_match": word, "min_dating_age": "20"})
    assert (answer.json["data"]["only_match"], answer.json["data"]["min_dating_age"]) == (meaning, 20)


@pytest.mark.usefixtures("unchanged")
@fuzz(4)
@given(
    path=DEMANDING,
    body=st.one_of(
        st.binary(max_size=40),
        st.binary(max_size=20).map(lambda raw: b"sid=" + raw),
        st.binary(max_size=20).map(lambda raw: b"phonenum=" + quote_from_bytes(raw).encode()),
        st.lists(st.tuples(st.text(max_size=8), st.text(max_size=20)), max_size=4).map(lambda f: urlencode(f).encode()),
    ),
)
@example(path="/api/social/like", body=b"%ED%A0%80=1")
@example(path="/api/social/like", body=b"&" * 5000)
@example(path="/api/social/like", body=b"&".join(b"a%d=1" % number for number in range(2000)))
def test_a_form_that_does_not_hold_the_wanted_fields_is_refused(person: Person, path: str, body: bytes) -> None:
    answer = person.client.post(path, data=body, content_type=FORM)
    check_refusal(answer, {422} if is_utf_8(unquote_to_bytes(body)) else {400})


def is_utf_8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("codec", ["gbk", "utf-16", "latin-1"])
@pytest.mark.parametrize("is_escaped", [True, False], ids=["escaped", "raw"])
@pytest.mark.parametrize("path", ["/api/user/profile/modify", "/api/user/logout", "/api/social/rewind"])
def test_a_form_in_another_encoding_is_refused_as_a_whole(
    app: Flask, person: Person, path: str, is_escaped: bool, codec: str
) -> None:
    """Werkzeug alone takes the raw bytes for an empty form, and the escaped ones for signs that nobody has typed."""
    before = state_of(app)
    text = ("é" if codec == "latin-1" else "日本").encode(codec)
    body = b"bio=" + (quote_from_bytes(text).encode() if is_escaped else text)
    answer = person.client.post(path, data=body, content_type=FORM)
    check_refusal(answer, {400})
    assert answer.json["code"] == 1005
    assert state_of(app) == before


def test_a_form_in_utf_8_is_read_escaped_or_not(person: Person) -> None:
    for body in ("bio=你好".encode(), b"bio=%E4%BD%A0%E5%A5%BD", b"bio=%E4%BD%A0\xe5%A5%BD"):
        person.post("/api/user/profile/modify", bio="")
        answer = person.client.post("/api/user/profile/modify", data=body, content_type=FORM)
        assert answer.json["data"]["bio"] == "你好"


KINDS = st.sampled_from([JSON, FORM, "multipart/form-data", "application/x+json"])


@pytest.mark.usefixtures("unchanged")
@fuzz(2)
@given(
    path=DEMANDING,
    kind=st.one_of(
        HEADER_TEXTS, st.builds("{}; {}={}".format, KINDS, st.sampled_from(["charset", "boundary"]), HEADER_TEXTS)
    ),
)
def test_any_content_type_is_answered(person: Person, path: str, kind: str) -> None:
    check_refusal(person.client.post(path, data=b'{"x": 1}', headers={"Content-Type": kind}), {400, 413, 415, 422})


# Notices of payment

NOTICES = st.fixed_dictionaries(
    {},
    optional={
        "order_id": st.one_of(TEXTS, st.integers(0).map(str), SCALARS),
        "payment_id": st.one_of(TEXTS, SCALARS),
        "amount_cents": st.one_of(st.integers(), SCALARS),
        "currency": st.one_of(st.just("CNY"), TEXTS, SCALARS),
    },
)
GOOD_NOTICE = {"order_id": "5", "payment_id": "5", "amount_cents": 500, "currency": "CNY"}
MANY_ZEROS = {"order_id": "0" * 19 + "1" + "0" * 40}
CALLBACK = "/api/vip/payments/sandbox/callback"


@fuzz(3)
@given(
    body=st.one_of(st.binary(max_size=60), st.one_of(NOTICES.map(json.dumps), VALUES.map(written)).map(str.encode)),
    is_signed=st.booleans(),
)
@example(body=json.dumps(GOOD_NOTICE).encode(), is_signed=True)
@example(body=json.dumps(GOOD_NOTICE | MANY_ZEROS).encode(), is_signed=True)
def test_a_notice_that_fits_no_order_is_refused(app: Flask, client: FlaskClient, body: bytes, is_signed: bool) -> None:
    signature = app.extensions["payment"].sign(body) if is_signed else "0" * 64
    answer = client.post(CALLBACK, data=body, headers={"X-Signature": signature})
    check_refusal(answer, {400} if is_signed else {403})
    assert answer.json["code"] == 1014


def pending_order(person: Person) -> str:
    """The one order of `person`: a refused notice leaves it as it was, and nobody may have many."""
    with person.client.application.app_context():
        held = db.session.scalar(select(Order.id).where(Order.uid == person.id))
    return str(held or person.post("/api/vip/orders", level=1, months=1).json["data"]["id"])


@fuzz()
@given(
    change=st.one_of(
        st.tuples(st.just("payment_id"), TEXTS.filter(lambda text: not 0 < len(text) <= 64 or not text.isprintable())),
        st.tuples(st.just("amount_cents"), SCALARS.filter(lambda amount: amount != GOOD_NOTICE["amount_cents"])),
        st.tuples(st.just("currency"), SCALARS.filter(lambda currency: currency != GOOD_NOTICE["currency"])),
        st.tuples(st.just("order_id"), TEXTS),
    )
)
@example(change=("payment_id", "\x00"))
@example(change=("payment_id", "\ud800"))
def test_an_order_is_not_paid_by_a_notice_with_one_wrong_field(
    app: Flask, person: Person, change: tuple[str, Any]
) -> None:
    order = pending_order(person)
    body = json.dumps(GOOD_NOTICE | {"order_id": order} | dict([change])).encode()
    headers = {"X-Signature": app.extensions["payment"].sign(body)}
    check_refusal(person.client.post(CALLBACK, data=body, headers=headers), {400})
    assert person.get(f"/api/vip/orders/{order}").json["data"]["state"] == "pending"


# Addresses and networks

PARTS = st.lists(
    st.one_of(st.integers(0, 300).map(str), st.text("0123456789abcdef", max_size=5)), min_size=1, max_size=9
)
ADDRESSES = st.one_of(
    TEXTS,
    st.ip_addresses().map(str),
    PARTS.map(".".join),
    PARTS.map(":".join),
    st.ip_addresses(v=4).map("::ffff:{}".format),
    st.tuples(st.ip_addresses(v=6), st.text(max_size=60)).map(lambda pair: f"{pair[0]}%{pair[1]}"),
    st.ip_addresses(v=6).map("[{}]:443".format),
)
NETWORKS = st.one_of(ADDRESSES, st.tuples(ADDRESSES, st.one_of(st.integers(-1, 130).map(str), TEXTS)).map("/".join))


@fuzz(4)
@given(text=NETWORKS)
@example(text="fe80::1%" + "x" * 60)
@example(text="::ffff:1.2.3.4/100")
def test_a_network_is_read_in_its_one_form_or_refused(text: str) -> None:
    try:
        network = parse_network(text)
    except ParamError:
        return
    assert parse_network(str(network)) == network == ipaddress.ip_network(str(network))
    assert len(str(network)) <= IpBan.network.type.length


@fuzz(4)
@given(text=ADDRESSES)
def test_an_address_is_counted_by_one_short_network_or_by_none(text: str) -> None:
    address, network = parse_address(text), client_network(text)
    if address is None:
        assert network == ""
    else:
        assert address in ipaddress.ip_network(network)
        assert client_network(str(address)) == network
        assert len(network) <= IpBan.network.type.length


# Headers


@fuzz()
@given(
    text=st.one_of(HEADER_TEXTS, st.sampled_from(["zh", "zh-CN,en;q=0.5", "en;q=nan", "*;q=2", "zh;q=-1", "," * 500]))
)
def test_any_wish_for_a_language_is_answered_in_one_that_we_speak(client: FlaskClient, text: str) -> None:
    answer = client.get("/api/user/profile", headers={"Accept-Language": text})
    check_refusal(answer, {401})
    assert answer.json["message"] in ("Log in first.", "请先登录。")


@pytest.mark.parametrize("proxies", [0, 1])
@fuzz()
@given(text=st.one_of(HEADER_TEXTS, st.from_regex(REQUEST_ID, fullmatch=True)))
def test_a_request_id_is_taken_over_from_a_proxy_if_it_is_one(
    app: Flask, monkeypatch: pytest.MonkeyPatch, proxies: int, text: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(app.config, "TRUSTED_PROXIES", proxies)
        given_back = app.test_client().get("/healthz", headers={"X-Request-Id": text}).headers["X-Request-Id"]
    if proxies and re.fullmatch(r"[A-Za-z0-9._-]{8,64}", text):
        assert given_back == text
    else:
        assert re.fullmatch("[0-9a-f]{16}", given_back)
        assert given_back != text


@fuzz()
@given(
    text=st.one_of(HEADER_TEXTS, HEADER_TEXTS.map("swiper_session={}".format), st.just("swiper_session=" + "x" * 9000))
)
@example(text='swiper_session="\\000\\012"')
@example(text="swiper_session=*")
@example(text="swiper_session=a; swiper_session=b")
def test_no_cookie_but_a_real_one_lets_in(app: Flask, person: Person, text: str) -> None:
    """`person` is logged in all the while, so there is a session to hit."""
    answer = app.test_client().get("/api/user/profile", environ_overrides={"HTTP_COOKIE": text})
    check_refusal(answer, {401})
    assert person.get("/api/user/profile").status_code == 200


TARGETS = [("/api/vip/levels", "GET"), ("/api/user/verify", "POST"), ("/", "GET"), ("/api/user/5", "GET")]
ODD_HEADERS = [
    *("Accept", "Accept-Encoding", "Authorization", "Forwarded", "Host", "If-Modified-Since", "If-None-Match"),
    *("Origin", "Range", "Referer", "Sec-Fetch-Site", "Transfer-Encoding", "X-Forwarded-For", "X-Forwarded-Host"),
    *("X-Forwarded-Proto", "X-Http-Method-Override", "X-Signature"),
]


@fuzz(4)
@given(target=st.sampled_from(TARGETS), name=st.sampled_from(ODD_HEADERS), text=HEADER_TEXTS)
def test_any_other_header_is_answered(client: FlaskClient, target: tuple[str, str], name: str, text: str) -> None:
    path, method = target
    answer = client.open(path, method=method, headers={name: text})
    if answer.status_code not in (200, 304):
        check_refusal(answer, {400, 401, 403, 422})
