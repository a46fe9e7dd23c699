"""Nicknames and bios: what nobody sees, what looks alike, and what nobody may be called."""

import random
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from swiper.characters import IGNORABLE, clean_text
from swiper.extensions import db
from swiper.profiles.models import Nickname, User
from swiper.profiles.nicknames import first_nickname, fold_nickname, is_reserved, skeleton
from swiper.profiles.operators import grant_role, revoke_role
from tests.factories import People, Person

TAKEN, RESERVED = "This nickname is taken.", "This nickname is reserved."
PERSIAN, SINHALA, FAMILY = "علی\u200cرضا", "ශ්\u200dරී", "👨\u200d👩\u200d👧"
SCOTLAND, MALAYALAM = "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", "അവന്\u200d"
# What stays as it is, since its script or its emoji need it.
NEEDED = [
    PERSIAN,
    SINHALA,
    MALAYALAM,
    FAMILY,
    SCOTLAND,
    "🇨🇳",
    "❤\ufe0f",
    "❤️\u200d🔥",
    "1\ufe0f\u20e3",
    "‼\ufe0f",
    "👩🏽\u200d🚀",
    "🙂\u200d↔\ufe0f",
    "🙂\u200d↕\ufe0f",
    # Adlam, Brahmi, Grantha, Chakma, Balinese, Javanese, Meetei Mayek, Manichaean.
    "\U0001e900\U0001e923\u200c\U0001e924",
    "\U00011013\U00011046\u200d\U00011031",
    "\U00011315\U0001134d\u200d\U00011337",
    "\U0001110c\U00011134\u200c\U0001110c",
    "\u1b13\u1b44\u200c\u1b13",
    "\ua98f\ua9c0\u200c\ua98f",
    "\uabc0\uabed\u200c\uabc0",
    "\U00010ac0\u200d\U00010ac1",
    # As many marks as Hebrew has on one letter, and a stack of Tibetan.
    "ש\u05b8\u05bc\u05bd\u05c1\u0591",
    "ཧ\u0f90\u0fa8\u0fb3\u0fba\u0f82",
]
# What is written, and what is stored of it.
CLEANED = [
    ("王小二\U000e0100", "王小二"),
    ("王\ufe00小\U000e01ef二", "王小二"),
    ("Tom  Lee", "Tom Lee"),
    ("Tom \u00a0\u3000Lee", "Tom Lee"),
    ("Tom\tLee", "Tom Lee"),
    ("Tom\u2028Lee", "Tom Lee"),
    ("Tom\r\nLee", "Tom Lee"),
    ("Tom \u200b Lee", "Tom Lee"),
    ("Tom\u200d", "Tom"),
    ("Tom\u200f", "Tom"),
    ("T\u00ado\u2060m\u202e", "Tom"),
    ("Tom\U000e0054\U000e006f", "Tom"),
    ("To\x00m\x1b", "Tom"),
    ("a\u200d\u0301", "á"),
    ("a\u034f\u0301", "á"),
    ("e\u2060\u0323\u0302", "ệ"),
    ("🏴\U000e0073\U000e0065\U000e0063\U000e0072\U000e0065\U000e0074\U000e0073\U000e007f", "🏴"),
    ("\u2800\u3164小明\uffa0", "小明"),
    ("اب\u200f", "اب\u200f"),
    ("Tom\u200cLee", "TomLee"),
    ("Tom\ufff9Lee\ufffb", "TomLee"),
    ("Tom\U0001d159Lee", "Tom Lee"),
    ("x" + "\u0336" * 30, "x" + "\u0336" * 5),
    ("x" + "\u20dd" * 30 + "y" + "\u0489" * 9, "x" + "\u20dd" * 5 + "y" + "\u0489" * 5),
    ("ب" + "\u064b\u200d" * 9, "ب" + "\u064b\u200d" * 5),
]
UNSEEN = [
    "\U000e0100",
    "\u200b\u2060\ufeff",
    "\u3164\u115f",
    "\u2800 \u2800",
    "\u00ad",
    "\t\u2028",
    "\x00\x01",
    "\u200d\u200c",
    "\U0001d159",
    "\U00013441\U00013442",
    "\U00016fe4",
]
RESERVED_NAMES = [
    *(
        "Swiper官方",
        "swiper",
        "SWlPER",
        "5wiper",
        "s-w-i-p-e-r",
        "my swiper",
        "ꜱᴡɪᴘᴇʀ",
        "Ѕwірer",
        "官方账号",
        "官 方",
        "官❤方",
        "小王客服",
    ),
    *(
        "管理员",
        "管 理 員",
        "系统",
        "系统通知",
        "admin",
        "ADMIN",
        "Admin-1",
        "аdmin",
        "АDМІN",
        "αdmιn",
        "ａｄｍｉｎ",
        "adm1n",
        "@dmin",
    ),
    *(
        "a d m i n",
        "a.d.m.i.n",
        "𝓪𝓭𝓶𝓲𝓷",
        "ⓐⓓⓜⓘⓝ",
        "🅰🅳🅼🅸🅽",
        "🇦🇩🇲🇮🇳",
        "ᴀᴅᴍɪɴ",
        "ádmin",
        "ađmin",
        "a\u0336d\u0336m\u0336i\u0336n\u0336",
    ),
    *(
        "adrnin",
        "Ꭺdmin",
        "Site Admin",
        "sysadmin",
        "аdmіnіstrаtоr",
        "Support",
        "support1",
        "0fficial",
        "Operator",
        "root",
    ),
    *("sw|per", "svviper", "adm¡n", "安全中心", "客户服务", "админ", "團隊"),
    *("小明operator", "ad\u200bmin", "admin\U000e0100"),
]
FREE = [
    *(
        "小明",
        "badminton",
        "Padmini",
        "Ross Wiper",
        "运营小李",
        "Tom Lee",
        "小5",
        "admiral",
        "Supporter",
        "系统工程师",
        "管理学",
    ),
    *(
        "Swift",
        "Модест",
        "Ольга",
        "Δημήτρης",
        PERSIAN,
        "Elephant",
        "Root Vegetable",
        "😀",
        "-",
        "木子李",
        "はなこ",
        "김민수",
    ),
]


@pytest.fixture
def person(people: People) -> Person:
    return people.add()


def rename(person: Person, nickname: str) -> Any:
    return person.post("/api/user/profile/modify", nickname=nickname)


def nickname_of(person: Person) -> str:
    return str(person.get("/api/user/profile").json["data"]["nickname"])


@pytest.mark.parametrize(("written", "stored"), CLEANED, ids=ascii)
def test_a_name_is_stored_without_what_nobody_sees(person: Person, written: str, stored: str) -> None:
    assert rename(person, written).status_code == 200
    assert nickname_of(person) == stored


@pytest.mark.parametrize("text", NEEDED, ids=ascii)
def test_what_a_script_or_an_emoji_needs_stays(person: Person, text: str) -> None:
    answer = person.post("/api/user/profile/modify", nickname=text, bio=text)
    assert (answer.json["data"]["nickname"], answer.json["data"]["bio"]) == (text, text)


@pytest.mark.parametrize("nickname", UNSEEN, ids=ascii)
def test_a_name_of_nothing_that_one_sees_has_the_wrong_length(person: Person, nickname: str) -> None:
    answer = rename(person, nickname)
    assert (answer.status_code, answer.json["code"]) == (422, 1002)
    assert answer.json["errors"] == {"nickname": ["Wrong length."]}


@pytest.mark.parametrize(
    ("first", "twin"),
    [
        ("王小二", "王小二\U000e0100"),
        ("Tom Lee", "tom \u3000LEE"),
        ("á", "a\u200d\u0301"),
        (PERSIAN, PERSIAN.replace("\u200c", "")),
        ("❤️", "❤"),
        (FAMILY, FAMILY.replace("\u200d", "")),
        ("اب", "اب\u200f"),
        ("ΐ", "\u0390"),
        ("ﬁx", "FIX"),
    ],
    ids=ascii,
)
def test_twins_cannot_both_be_taken(people: People, first: str, twin: str) -> None:
    assert rename(people.add(), first).status_code == 200
    assert rename(people.add(), twin).json["errors"] == {"nickname": [TAKEN]}
    assert fold_nickname(first) == fold_nickname(twin)


def test_a_bio_keeps_its_lines_and_has_plain_spaces(person: Person) -> None:
    answer = person.post("/api/user/profile/modify", bio="a\tb\u2028c\r\nd\u00a0\u00a0e\rf\x07\u202e\n\u200fg")
    assert answer.json["data"]["bio"] == "a b c\nd  e\nf\ng"
    answer = person.post("/api/user/profile/modify", bio="שלום\u200f!\nabc\u200e")
    assert answer.json["data"]["bio"] == "שלום\u200f!\nabc\u200e"


@pytest.mark.parametrize("nickname", ["a\ue000", "a\U0010fffd", "a\uffff", "\ufdd0"], ids=ascii)
def test_what_would_show_as_a_box_is_refused_with_its_reason(person: Person, nickname: str) -> None:
    assert rename(person, nickname).json["errors"] == {"nickname": ["It holds characters that cannot be shown."]}


def test_cleaning_and_folding_twice_is_cleaning_and_folding_once() -> None:
    pick = random.Random(20240229)
    pool = [
        *"ab1#é官 \n\t",
        *"\u0301\u0323\u200c\u200d\u200f\u202e\ufe0f\u20e3\u2028\U000e0100\U0001f3f4\U000e0067\U000e007f",
    ]
    pool += [*"علी\u094d‼❤👩\U0001f1e8\u2800ſßİ\u0345\u1f80\u3164ﬁ\u212b"]
    for _ in range(5_000):
        text = "".join(pick.choices(pool, k=pick.randrange(1, 9)))
        for is_multiline in (True, False):
            cleaned = clean_text(text, is_multiline=is_multiline)
            assert clean_text(cleaned, is_multiline=is_multiline) == cleaned == unicodedata.normalize("NFC", cleaned)
        folded = fold_nickname(text)
        assert fold_nickname(folded) == folded == fold_nickname(clean_text(text)), ascii(text)
        assert not IGNORABLE.search(folded)


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("nickname", RESERVED_NAMES, ids=ascii)
def test_a_name_that_could_be_the_service_s_own_is_reserved(nickname: str) -> None:
    assert is_reserved(nickname)


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("nickname", FREE, ids=ascii)
def test_names_that_only_resemble_reserved_ones_are_free(nickname: str) -> None:
    assert not is_reserved(nickname)


@pytest.mark.parametrize("nickname", ["Swiper官方", "аdmin"])
def test_a_reserved_name_is_refused_at_its_field(person: Person, nickname: str) -> None:
    before = nickname_of(person)
    answer = rename(person, nickname)
    assert (answer.status_code, answer.json["code"]) == (422, 1002)
    assert answer.json["errors"] == {"nickname": [RESERVED]}
    assert nickname_of(person) == before


def test_an_operator_names_further_words(make_app: Callable[..., Flask]) -> None:
    with make_app(reserved_nicknames=["Acme", "心动"]).app_context():
        assert all(map(is_reserved, ["acme", "Асmе", "The Acme team", "心动官", "心 动"]))
        assert not is_reserved("小明")


def test_the_first_name_is_the_service_s_own_gift(people: People) -> None:
    person, other = people.add(), people.add()
    first = nickname_of(person)
    assert first == first_nickname(person.id)
    # Sent back unchanged, and taken again after another.
    assert rename(person, first).status_code == 200
    assert rename(person, "小明").status_code == 200
    assert rename(other, first).json["errors"] == {"nickname": [RESERVED]}
    assert rename(person, first).status_code == 200


def test_a_reserved_name_from_before_passes_unchanged(app: Flask, person: Person) -> None:
    with app.app_context():
        person_row = db.session.scalars(select(Nickname).where(Nickname.uid == person.id)).one()
        person_row.folded = "admin"
        db.session.get_one(User, person.id).nickname = "admin"
        db.session.commit()
    assert person.post("/api/user/profile/modify", nickname="admin", bio="new").json["data"]["bio"] == "new"


@pytest.mark.parametrize(
    ("name", "alike"),
    [
        ("Паша Роса", "Пaшa Pocа"),
        ("Alice Cooper", "Аlісе Сoореr"),
        ("Coco", "C0C0"),
        ("王小二", "王小⼆"),
        ("Olga", "0lga"),
    ],
)
def test_nobody_takes_a_name_that_looks_like_an_operator_s(app: Flask, people: People, name: str, alike: str) -> None:
    operator, person = people.add(), people.add()
    assert rename(operator, name).status_code == 200
    with app.app_context():
        grant_role(operator.id)
        assert skeleton(name) == skeleton(alike)
    for lookalike in (alike, f"{alike}.", f" {alike}\u200b"):
        assert rename(person, lookalike).json["errors"] == {"nickname": [TAKEN]}, lookalike
    # Their own name they may spell anew.
    assert rename(operator, f"{name}.").status_code == 200
    with app.app_context():
        revoke_role(operator.id)
    assert rename(person, "Somebody else").status_code == 200


@pytest.mark.parametrize("alike", ["Lily✔", "Líly", "L\u0336ily", "Lily ✅", "⭐Lily⭐"])
def test_nobody_adds_signs_or_marks_to_an_operator_s_name(app: Flask, people: People, alike: str) -> None:
    operator, person = people.add(), people.add()
    assert rename(operator, "Lily").status_code == 200
    with app.app_context():
        grant_role(operator.id)
    assert rename(person, alike).json["errors"] == {"nickname": [TAKEN]}


def test_look_alikes_of_people_without_the_role_are_free(people: People) -> None:
    assert rename(people.add(), "Alice").status_code == 200
    assert rename(people.add(), "Аlісе").status_code == 200
