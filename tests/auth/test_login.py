"""Phone numbers in all their spellings, and what a login makes and answers."""

import json
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from swiper.auth import login
from swiper.auth.models import Phone, SmsOutbox
from swiper.errors import ParamError, UnavailableError
from swiper.extensions import db, redis
from swiper.profiles.accounts import delete_account
from swiper.profiles.models import User
from swiper.sms.phone_numbers import parse_phone
from tests.factories import People
from tests.profiles.test_profiles import CARD

pytestmark = pytest.mark.usefixtures("app")

SPELLINGS = [
    "13800138000",
    "+8613800138000",
    "8613800138000",
    "008613800138000",
    " 138 0013 8000 ",
    "138-0013-8000",
    "+86 (138) 0013-8000",
    "１３８００１３８０００",
    "＋８６１３８００１３８０００",
    "\u202d+86 138 0013 8000\u202c",
    "\u200e13800138000",
    "\u200f\u206813800138000\u2069",
    "\ufeff138\u200b0013\u20608000\u00ad",
    "138\u20130013\u20138000",
    "138\u20110013\u20128000",
    "138\u20140013\u22128000",
    "138\ufe580013\u301c8000",
    "tel:+8613800138000",
    "TEL: 138-0013-8000",
    "tel://+86-138-0013-8000",
    "tel:138-0013-8000;phone-context=+86",
    "ｔｅｌ：138 0013 8000",
    "(+86)13800138000",
    "（＋86）138 0013 8000",
    "(86) 138 0013 8000",
    "(0086)138-0013-8000",
    "+(86)138 0013 8000",
    "\t138\u202f0013\u20098000\r\n",
    "١٣٨٠٠١٣٨٠٠٠",
    "۱۳۸۰۰۱۳۸۰۰۰",
    "१३८००१३८०००",
    "১৩৮০০১৩৮০০০",
    "+๘๖ ๑๓๘ ๐๐๑๓ ๘๐๐๐",
    "𝟏𝟑𝟖𝟎𝟎𝟏𝟑𝟖𝟎𝟎𝟎",
]
REFUSED = {
    "empty": "",
    "spaces": "     ",
    "letters": "1380013800a",
    "vanity letters": "1-800-FLOWERS",
    "extension": "+86 13800138000 ext. 5",
    "short extension": "13800138000x5",
    "landline": "010-62551111",
    "landline abroad": "+44 20 7946 0958",
    "a robot's number": "21000000000",
    "a robot's number in full": "+8621000000000",
    "a robot's last number": "21900000000",
    "too short": "1380013800",
    "too long": "138001380001",
    "a list of numbers": "13800138000,13900139000",
    "an extension in a URI": "tel:+8613800138000;ext=5",
    "an extension in a URI with its context": "tel:13800138000;ext=5;phone-context=+86",
    "a URI whose context is a domain": "tel:13800138000;phone-context=example.com",
    "a URI with a plus and a context": "tel:+8613800138000;phone-context=+1",
    "two pluses": "++8613800138000",
    "a plus behind the number": "13800138000+",
    "two numbers": "13800138000/13900139000",
    "Chinese numerals": "一三八〇〇一三八〇〇〇",
    "an unknown country": "+9991234567",
    "a null byte": "138001380\x0000",
    "a lone surrogate": "1380013800\ud800",
    "10,000 digits": "1" * 10_000,
}


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("text", SPELLINGS)
def test_every_spelling_of_a_number_is_the_same_number(text: str) -> None:
    assert parse_phone(text) == "+8613800138000"


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("+852 5123 4567", "+85251234567"),
        ("+1 202-456-1111", "+12024561111"),
        ("+44 7911 123456", "+447911123456"),
        ("199 1234 5678", "+8619912345678"),
    ],
)
def test_numbers_of_other_places_are_read(text: str, stored: str) -> None:
    assert parse_phone(text) == stored


# What a client that escaped no plus has sent, and whose number that can be.
LOST_PLUS = [
    (" 8613800138000", "+8613800138000"),
    ("  8613800138000", "+8613800138000"),
    (" 85251234567", "+85251234567"),
    (" 447911123456", "+447911123456"),
    (" 0085251234567", "+85251234567"),
    ("\u00a085251234567", "+85251234567"),
    ("\u3000\u200e85251234567", "+85251234567"),
    ("( 852)51234567", "+85251234567"),
    ("tel: 85251234567", "+85251234567"),
    (" (852) 5123 4567", "+85251234567"),
    (" 13800138000", "+8613800138000"),
    ("00852 5123 4567", "+85251234567"),
]
TWO_NUMBERS = [
    " 16502530000",
    "  16502530000",
    "\t16502530000",
    "\u00a016502530000",
    "\u202d 1 650 253 0000\u202c",
    " (1) 650-253-0000",
    "( 1) 650-253-0000",
    "tel: 16502530000",
    " １６５０２５３００００",
    " ١٦٥٠٢٥٣٠٠٠٠",
    " 13017656088",
    # A free number, which cannot get a code, was meant; the other reading is somebody's.
    " 18005551234",
]


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize(("text", "stored"), LOST_PLUS)
def test_a_space_before_the_digits_was_a_plus_where_only_that_is_a_number(text: str, stored: str) -> None:
    assert parse_phone(text) == stored


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("text", TWO_NUMBERS)
def test_a_text_that_can_be_two_numbers_is_nobody_s(text: str) -> None:
    with pytest.raises(ParamError) as refusal:
        parse_phone(text)
    (reason,) = (refusal.value.errors or {})["phonenum"]
    assert "%2B" in reason


@pytest.mark.parametrize("kind", ["form", "query", "json"])
@pytest.mark.parametrize(("language", "word"), [("en", "country code"), ("zh", "国家代码")])
def test_a_plus_that_was_not_escaped_sends_no_code_to_anybody(
    app: Flask, client: FlaskClient, people: People, kind: str, language: str, word: str
) -> None:
    headers = {"Accept-Language": language}
    path, text = "/api/user/verify", "phonenum=+16502530000"
    if kind == "form":
        answer = client.post(path, data=text, content_type="application/x-www-form-urlencoded", headers=headers)
    elif kind == "query":
        answer = client.get(f"{path}?{text}", headers=headers)
    else:
        answer = client.post(path, json={"phonenum": " 16502530000"}, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (422, 1005)
    (reason,) = answer.json["errors"]["phonenum"]
    assert "%2B" in reason
    assert word in reason
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(SmsOutbox)) == 0


def test_an_escaped_plus_and_00_say_which_number_is_meant(app: Flask, make_app: Callable[..., Flask]) -> None:
    client = make_app(sms_countries=["US"]).test_client()
    kind = "application/x-www-form-urlencoded"
    assert client.post("/api/user/verify", data="phonenum=%2B16502530000", content_type=kind).status_code == 200
    assert client.post("/api/user/verify", data="phonenum=0016502530001", content_type=kind).status_code == 200
    with app.app_context():
        assert set(db.session.scalars(select(SmsOutbox.phone))) == {"+16502530000", "+16502530001"}


@pytest.mark.parametrize(
    "typed", ["{0}", " {0}\n", "{1} {2}", "{1}-{2}", "{1}\u2013{2}", "\u202d{0}\u202c", "{1}\u200b{2}", "{1}\u00a0{2}"]
)
@pytest.mark.parametrize("zero", ["0", "０", "٠", "०", "𝟎"])
@pytest.mark.parametrize("is_form", [True, False])
def test_a_code_is_read_however_it_is_spelled(
    client: FlaskClient, people: People, typed: str, zero: str, is_form: bool
) -> None:
    client.post("/api/user/verify", json={"phonenum": "13800138000"})
    code = "".join(chr(ord(zero) + int(digit)) for digit in people.sent_code())
    given = {"phonenum": "13800138000", "vcode": typed.format(code, code[:3], code[3:])}
    answer = client.post("/api/user/login", **({"data": given} if is_form else {"json": given}))
    assert answer.status_code == 200, answer.json


def test_what_can_be_no_code_costs_no_guess_and_is_answered_like_a_wrong_one(
    client: FlaskClient, people: People
) -> None:
    client.post("/api/user/verify", json={"phonenum": "13800138000"})
    code = people.sent_code()
    wrong = "000000" if code != "000000" else "111111"
    first = client.post("/api/user/login", json={"phonenum": "13800138000", "vcode": wrong})
    for guess in (
        "12345",
        f"{code}0",
        "1234567",
        "abcdef",
        "12345a",
        "½½½½½½",
        "十二三四五六",
        "😀",
        "\x00" * 6,
        "-" * 6,
    ):
        answer = client.post("/api/user/login", json={"phonenum": "13800138000", "vcode": guess})
        assert (answer.status_code, answer.json) == (first.status_code, first.json), guess
    assert client.post("/api/user/login", json={"phonenum": "13800138000", "vcode": code}).status_code == 200


def test_what_can_be_no_code_counts_against_the_address_all_the_same(make_app: Callable[..., Flask]) -> None:
    client = make_app(login_per_ip_per_minute=2).test_client()
    answers = [client.post("/api/user/login", json={"phonenum": "13800138000", "vcode": "no code"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [400, 400, 429]


def test_the_default_region_decides_what_a_bare_number_means(make_app: Callable[..., Flask]) -> None:
    with make_app(default_region="HK").app_context():
        assert parse_phone("5123 4567") == "+85251234567"


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_mobile_number_is_refused(text: str) -> None:
    with pytest.raises(ParamError) as refusal:
        parse_phone(text)
    assert "phonenum" in (refusal.value.errors or {})


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_no_code_is_issued_for_a_refused_number(client: FlaskClient, text: str) -> None:
    body = json.dumps({"phonenum": text})
    answer = client.post("/api/user/verify", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (422, 1005)
    assert "phonenum" in answer.json["errors"]


def test_a_code_logs_in_and_makes_the_account(people: People) -> None:
    person = people.log_in("13800138000")
    profile = person.get("/api/user/profile").json["data"]
    assert profile["phone"] == "+8613800138000"
    assert profile["id"] == str(person.id)


def test_the_second_login_finds_the_same_account(app: Flask, people: People) -> None:
    first = people.log_in("13800138000")
    wait_is_over(app)
    second = people.log_in("+86 138-0013-8000")
    assert first.id == second.id
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(User)) == 1
        assert db.session.scalar(select(func.count()).select_from(Phone)) == 1


def wait_is_over(app: Flask) -> None:
    """Stands for the minute that must pass between two codes."""
    with app.app_context():
        for key in app.extensions["redis"].keys("{p:*}:lock"):
            app.extensions["redis"].delete(key)


def test_a_new_account_starts_with_the_defaults(people: People) -> None:
    profile = people.log_in("13800138000").get("/api/user/profile").json["data"]
    assert profile["id"]
    assert profile["nickname"].startswith("swiper-")
    # A column of the card is empty at first.
    assert profile == dict.fromkeys(CARD) | {
        "id": profile["id"],
        "nickname": profile["nickname"],
        "phone": "+8613800138000",
        "sex": None,
        "birthday": None,
        "avatar": "",
        "bio": "",
        "photos": [],
        "vip": {"level": 0, "name": "会员-0", "badge": False, "expires_at": None},
        "dating_sex": None,
        "dating_location": None,
        "min_distance": 1,
        "max_distance": 10,
        "min_dating_age": 18,
        "max_dating_age": 45,
        "vibration": True,
        "only_match": True,
        "auto_play": True,
    }


def test_the_first_clients_log_in_with_get_and_forms(people: People, client: FlaskClient) -> None:
    answer = client.get("/api/user/verify", query_string={"phonenum": "13800138000"})
    assert answer.json["code"] == 0
    assert answer.json["data"].items() >= {"expires_in": 600, "resend_in": 60}.items()
    form = {"phonenum": "13800138000", "vcode": people.sent_code()}
    answer = client.post("/api/user/login", data=form)
    assert (answer.status_code, answer.json["code"]) == (200, 0)
    assert client.get("/api/user/profile").json["data"]["phone"] == "+8613800138000"


def test_without_a_code_nobody_is_logged_in(client: FlaskClient) -> None:
    assert client.post("/api/user/login", json={"phonenum": "13800138000"}).json["code"] == 1005
    for missing in ("", None, [], 0):
        answer = client.post("/api/user/login", json={"phonenum": "13800138000", "vcode": missing})
        assert answer.json["code"] == 1005
    assert client.post("/api/user/login", json={"phonenum": "13800138000", "vcode": "000000"}).json["code"] == 1000
    assert client.get("/api/user/profile").status_code == 401


def test_a_login_counts_against_the_address(make_app: Callable[..., Flask]) -> None:
    client = make_app(login_per_ip_per_minute=3).test_client()
    guess = {"phonenum": "13800138000", "vcode": "123456"}
    codes = [client.post("/api/user/login", json=guess).json["code"] for _ in range(4)]
    assert codes == [1000, 1000, 1000, 1006]
    answer = client.post("/api/user/login", json=guess)
    assert 1 <= int(answer.headers["Retry-After"]) <= 61
    other = client.post("/api/user/login", json=guess, environ_base={"REMOTE_ADDR": "203.0.113.7"})
    assert other.json["code"] == 1000


def ask_and_log_in(people: People, client: FlaskClient) -> TestResponse:
    client.post("/api/user/verify", json={"phonenum": "13800138000"})
    return client.post("/api/user/login", json={"phonenum": "13800138000", "vcode": people.sent_code()})


def test_a_login_that_could_not_be_completed_brings_no_session_and_spares_the_code(
    people: People, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(phone: str) -> None:
        raise UnavailableError()

    with monkeypatch.context() as patch:
        patch.setattr(login, "find_or_create", fail)
        answer = ask_and_log_in(people, client)
        assert answer.json["code"] == 1011
        assert "Set-Cookie" not in answer.headers
    again = client.post("/api/user/login", json={"phonenum": "13800138000", "vcode": people.sent_code()})
    assert again.json["code"] == 0


def test_an_account_that_is_deleted_during_its_login_leaves_no_session(
    app: Flask, people: People, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = people.log_in("13800138000")
    wait_is_over(app)
    find = login._find_or_create

    def find_and_lose(phone: str) -> int:
        uid = find(phone)
        delete_account(uid)
        return uid

    with monkeypatch.context() as patch:
        # One PostgreSQL server finds and reads in one statement.
        patch.setattr(app.extensions["database"], "is_single_node", False)
        patch.setattr(login, "_find_or_create", find_and_lose)
        answer = ask_and_log_in(people, client)
    assert answer.json["code"] == 1001
    assert "Set-Cookie" not in answer.headers
    assert app.extensions["redis"].keys("*:session*") == []
    again = client.post("/api/user/login", json={"phonenum": "13800138000", "vcode": people.sent_code()})
    assert again.json["code"] == 0
    assert again.json["data"]["id"] != str(former.id)


# --- asking by GET ---


def test_get_is_refused_where_it_is_switched_off(make_app: Callable[..., Flask]) -> None:
    app = make_app(verify_by_get=False)
    client = app.test_client()
    for path in ("/api/user/verify?phonenum=13800138000", "/api/user/verify"):
        answer = client.get(path)
        assert (answer.status_code, answer.json["code"], answer.headers["Allow"]) == (405, 1009, "OPTIONS, POST")
    assert not (app.config["INSTANCE"] / "sms-outbox.jsonl").exists()
    assert client.post("/api/user/verify", json={"phonenum": "13800138000"}).status_code == 200


@pytest.mark.parametrize("is_on", [True, False])
def test_head_sends_nothing_and_spends_nothing(make_app: Callable[..., Flask], is_on: bool) -> None:
    app = make_app(verify_by_get=is_on)
    client = app.test_client()
    for _ in range(3):
        assert client.head("/api/user/verify?phonenum=13800138000").status_code == 405
    with app.app_context():
        assert redis.client.keys("*138*") == []
        assert redis.client.keys("*sms*") == []
    assert client.post("/api/user/verify", json={"phonenum": "13800138000"}).status_code == 200
