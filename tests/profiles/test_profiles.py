"""Profiles: every field with its rule, changed whole or not at all, read fresh right after."""

import threading
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from flask import Flask

from swiper.clock import today
from swiper.extensions import cache, db
from swiper.profiles.models import Nickname
from swiper.profiles.profile_changes import change_profile
from swiper.profiles.profiles import Account, account_key, age_on, find_account, latest_birthday
from swiper.vip.levels import vip_status_of
from tests.factories import People, Person

# What anybody may be told of anybody else; other files compare what they find with it.
CARD = {"id", "nickname", "sex", "age", "location", "bio", "avatar", "photos", "vip"}
CHANGES: dict[str, tuple[Any, str, Any]] = {
    # field: (JSON, form text, what the profile shows)
    "nickname": ("小明", "小明", "小明"),
    "sex": ("female", "female", "female"),
    "birthday": ("1990-02-28", "1990-02-28", "1990-02-28"),
    "location": ("北京", "北京", "北京"),
    "bio": ("你好\n世界", "你好\r\n世界", "你好\n世界"),
    "dating_sex": ("any", "any", "any"),
    "dating_location": ("上海", "上海", "上海"),
    "min_distance": (5, "5", 5),
    "max_distance": (500, "500", 500),
    "min_dating_age": (20, "20", 20),
    "max_dating_age": (99, "99", 99),
    "vibration": (False, "false", False),
    "only_match": (False, "0", False),
    "auto_play": (False, "off", False),
}
REFUSED: list[tuple[str, Any]] = [
    ("nickname", ""),
    ("nickname", "   "),
    ("nickname", "长" * 33),
    ("nickname", None),
    ("nickname", 5),
    ("nickname", ["a"]),
    ("nickname", "\x00\u202e\u2028"),
    ("nickname", "a\ue000b"),
    ("nickname", "a\uffffb"),
    ("bio", "a\U00100000b"),
    ("bio", "x" * 501),
    ("bio", None),
    ("location", ""),
    ("location", None),
    ("location", "x" * 65),
    ("sex", "any"),
    ("sex", "MALE"),
    ("sex", None),
    ("sex", 1),
    ("birthday", "1990-02-30"),
    ("birthday", "19900101x"),
    ("birthday", "1990-13-01"),
    ("birthday", 0),
    ("birthday", None),
    ("birthday", "0001-01-01"),
    ("birthday", "9999-12-31"),
    ("dating_sex", "both"),
    ("dating_location", ""),
    ("min_distance", -1),
    ("max_distance", 20_001),
    ("min_distance", 1.5),
    ("min_distance", "1.5"),
    ("min_distance", "１"),
    ("min_distance", True),
    ("min_distance", 2**63),
    ("max_distance", 10**30),
    ("min_dating_age", 17),
    ("max_dating_age", 101),
    ("max_dating_age", None),
    ("vibration", "perhaps"),
    ("vibration", None),
    ("only_match", 2),
    ("auto_play", []),
]


@pytest.fixture
def person(people: People) -> Person:
    return people.add()


def profile_of(person: Person) -> dict[str, Any]:
    data: dict[str, Any] = person.get("/api/user/profile").json["data"]
    return data


def modify(person: Person, **changes: Any) -> Any:
    return person.post("/api/user/profile/modify", **changes)


@pytest.mark.parametrize("field", CHANGES)
@pytest.mark.parametrize("is_form", [False, True], ids=["json", "form"])
def test_every_field_can_be_changed(person: Person, field: str, is_form: bool) -> None:
    as_json, as_form, shown = CHANGES[field]
    before = profile_of(person)
    body: dict[str, Any] = {"data": {field: as_form}} if is_form else {"json": {field: as_json}}
    answer = person.client.post("/api/user/profile/modify", **body)
    assert (answer.status_code, answer.json["code"]) == (200, 0)
    assert answer.json["data"][field] == shown
    after = profile_of(person)
    assert after == answer.json["data"]
    follows = {"sex": {"dating_sex"}, "birthday": {"age"}, "location": {"dating_location"}}.get(field, set())
    assert {name for name in after if after[name] != before[name]} <= {field} | follows


def test_all_fields_together(person: Person) -> None:
    answer = modify(person, **{field: value for field, (value, _, _) in CHANGES.items() if field != "dating_location"})
    assert answer.status_code == 200
    shown = profile_of(person)
    assert all(shown[field] == value for field, (_, _, value) in CHANGES.items() if field != "dating_location")


@pytest.mark.parametrize(("field", "value"), REFUSED)
def test_a_wrong_value_is_refused_at_its_field(person: Person, field: str, value: Any) -> None:
    before = profile_of(person)
    answer = modify(person, **{field: value})
    assert (answer.status_code, answer.json["code"]) == (422, 1002)
    assert list(answer.json["errors"]) == [field]
    assert all(isinstance(reason, str) for reason in answer.json["errors"][field])
    assert profile_of(person) == before


@pytest.mark.parametrize("field", ["id", "phone", "status", "avatar", "is_robot", "vip", "age", "photos", "uid", "x"])
def test_an_unknown_or_foreign_field_is_refused(person: Person, field: str) -> None:
    before = profile_of(person)
    answer = modify(person, **{field: "1", "bio": "new"})
    assert (answer.status_code, answer.json["code"]) == (422, 1002)
    assert answer.json["errors"] == {field: ["Unknown field."]}
    assert profile_of(person) == before


def test_one_wrong_field_keeps_all_others_as_they_were(person: Person) -> None:
    before = profile_of(person)
    assert modify(person, nickname="新名字", bio="new", sex="x").status_code == 422
    assert modify(person, nickname="新名字", bio="new", min_dating_age=60).json["code"] == 1002
    assert modify(person, nickname="新名字", bio="new", dating_location="北京").json["code"] == 1004
    assert profile_of(person) == before
    with person.client.application.app_context():
        assert db.session.get(Nickname, "新名字") is None


def test_a_change_of_nothing_is_no_error(person: Person) -> None:
    before = profile_of(person)
    assert modify(person).json["data"] == before


def test_text_is_trimmed_and_normalised(person: Person) -> None:
    modify(person, nickname="  Zoe\u0301 \u3000", bio=" a ")
    shown = profile_of(person)
    assert shown["nickname"] == "Zoé"
    assert shown["bio"] == "a"


def test_a_nickname_of_32_emoji_fits(person: Person) -> None:
    assert modify(person, nickname="😀" * 32).status_code == 200
    assert profile_of(person)["nickname"] == "😀" * 32


@pytest.mark.parametrize("twin", ["Alice", "alice", "ALICE", "ａｌｉｃｅ", " alice "])
def test_a_nickname_is_taken_however_it_is_written(people: People, person: Person, twin: str) -> None:
    other = people.add()
    assert modify(person, nickname="Alice").status_code == 200
    answer = modify(other, nickname=twin, bio="new")
    assert (answer.status_code, answer.json["code"]) == (422, 1002)
    assert answer.json["errors"] == {"nickname": ["This nickname is taken."]}
    assert profile_of(other)["bio"] == ""


def test_a_nickname_that_was_given_up_is_free_again(people: People, person: Person) -> None:
    other = people.add()
    modify(person, nickname="Straße")
    assert modify(other, nickname="STRASSE").json["code"] == 1002
    modify(person, nickname="elsewhere")
    assert modify(other, nickname="STRASSE").status_code == 200
    with person.client.application.app_context():
        assert db.session.get(Nickname, "strasse").uid == other.id


def test_the_own_nickname_may_change_its_case(person: Person) -> None:
    modify(person, nickname="alice")
    assert modify(person, nickname="Alice").status_code == 200
    assert profile_of(person)["nickname"] == "Alice"


def test_of_many_who_want_a_nickname_at_once_one_gets_it(app: Flask, people: People) -> None:
    crowd = [people.add() for _ in range(6)]
    start = threading.Barrier(len(crowd))
    codes: list[int] = []

    def claim(one: Person) -> None:
        start.wait()
        codes.append(modify(one, nickname="wanted").json["code"])

    threads = [threading.Thread(target=claim, args=(one,)) for one in crowd]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [0] + [1002] * (len(crowd) - 1)
    assert [profile_of(one)["nickname"] for one in crowd].count("wanted") == 1


@pytest.mark.parametrize(
    ("birthday", "day", "age"),
    [
        (date(2000, 6, 15), date(2018, 6, 14), 17),
        (date(2000, 6, 15), date(2018, 6, 15), 18),
        (date(2000, 12, 31), date(2019, 1, 1), 18),
        (date(2004, 2, 29), date(2022, 2, 28), 17),
        (date(2004, 2, 29), date(2022, 3, 1), 18),
        (date(2004, 2, 29), date(2024, 2, 28), 19),
        (date(2004, 2, 29), date(2024, 2, 29), 20),
        (date(2004, 2, 28), date(2022, 2, 28), 18),
        (date(1900, 1, 1), date(2000, 1, 1), 100),
    ],
)
def test_age_counts_full_years_by_the_calendar(birthday: date, day: date, age: int) -> None:
    assert age_on(day, birthday) == age


@pytest.mark.parametrize("day", [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1), date(2023, 2, 28)])
@pytest.mark.parametrize("years", [18, 20, 45, 100])
def test_the_latest_birthday_is_the_last_that_is_old_enough(day: date, years: int) -> None:
    latest = latest_birthday(day, years)
    assert age_on(day, latest) >= years
    assert age_on(day, latest + timedelta(days=1)) < years


def test_minors_and_the_overaged_are_refused(app: Flask, people: People, person: Person) -> None:
    with app.app_context():
        day = today()
        adult, oldest = latest_birthday(day, 18), latest_birthday(day, 101) + timedelta(days=1)
    assert modify(person, birthday=adult.isoformat()).status_code == 200
    assert profile_of(person)["age"] == 18
    # The second correction is an operator's.
    assert modify(people.add(), birthday=oldest.isoformat()).json["data"]["age"] == 100
    for wrong in (adult + timedelta(days=1), oldest - timedelta(days=1), day, day + timedelta(days=1)):
        answer = modify(person, birthday=wrong.isoformat())
        assert answer.json["errors"] == {"birthday": ["You must be 18 to 100 years old."]}
    assert profile_of(person)["age"] == 18


@pytest.mark.parametrize("name", ["distance", "dating_age"])
def test_the_minimum_stays_below_the_maximum(person: Person, name: str) -> None:
    answer = modify(person, **{f"min_{name}": 40, f"max_{name}": 30})
    assert answer.json["code"] == 1002
    assert answer.json["errors"] == {f"min_{name}": ["The minimum is above the maximum."]}
    assert modify(person, **{f"min_{name}": 30, f"max_{name}": 30}).status_code == 200
    # Against what is stored, from either side.
    assert modify(person, **{f"min_{name}": 31}).json["code"] == 1002
    assert modify(person, **{f"max_{name}": 29}).json["code"] == 1002
    assert modify(person, **{f"min_{name}": 50, f"max_{name}": 60}).status_code == 200
    shown = profile_of(person)
    assert (shown[f"min_{name}"], shown[f"max_{name}"]) == (50, 60)


def test_a_foreign_city_needs_the_permission(people: People, person: Person) -> None:
    answer = modify(person, dating_location="北京")
    assert (answer.status_code, answer.json["code"]) == (403, 1004)
    for level in (1, 2):
        assert modify(people.add(vip=level), dating_location="北京").json["code"] == 1004
    traveller = people.add(vip=3)
    assert modify(traveller, dating_location="北京").json["data"]["dating_location"] == "北京"


def test_the_own_city_needs_no_permission(person: Person) -> None:
    assert modify(person, dating_location="上海").status_code == 200
    assert modify(person, location="广州", dating_location="广州").status_code == 200
    assert modify(person, dating_location=None).status_code == 200
    assert profile_of(person)["dating_location"] == "广州"


def test_the_target_city_follows_the_own_one_until_it_is_set(people: People, person: Person) -> None:
    modify(person, location="广州")
    assert profile_of(person)["dating_location"] == "广州"
    traveller = people.add(vip=3, dating_location="北京")
    modify(traveller, location="广州")
    assert profile_of(traveller)["dating_location"] == "北京"


def test_the_wanted_sex_is_the_other_one_until_it_is_set(person: Person) -> None:
    assert profile_of(person)["dating_sex"] == "female"
    modify(person, sex="female")
    assert profile_of(person)["dating_sex"] == "male"
    modify(person, dating_sex="any")
    assert profile_of(person)["dating_sex"] == "any"
    modify(person, dating_sex=None)
    assert profile_of(person)["dating_sex"] == "male"


def test_another_s_card_carries_nothing_private(people: People, person: Person) -> None:
    other = people.woman(bio="hello")
    card = person.get(f"/api/user/{other.id}").json["data"]
    assert set(card) == CARD
    assert card["vip"] == {"level": 0, "name": "会员-0", "badge": False}
    text = person.get(f"/api/user/{other.id}").get_data(as_text=True)
    assert other.phone not in text
    assert "1995-05-20" not in text


def test_a_change_is_seen_at_once_by_every_session(people: People, person: Person) -> None:
    elsewhere = people.client_of(person.id)
    for number in range(5):
        assert elsewhere.get("/api/user/profile").status_code == 200
        modify(person, bio=f"bio {number}")
        assert elsewhere.get("/api/user/profile").json["data"]["bio"] == f"bio {number}"


def test_the_profile_is_read_from_the_cache(app: Flask, person: Person) -> None:
    profile_of(person)
    with app.app_context():
        cached = msgspec.msgpack.decode(cache.get(account_key(person.id)), type=Account)
    assert cached.id == person.id
    modify(person, bio="new")
    with app.app_context():
        stored = cache.get(account_key(person.id))
        assert stored is None or msgspec.msgpack.decode(stored, type=Account).bio == "new"


def test_a_reader_that_loaded_before_a_write_leaves_no_old_profile(app: Flask, person: Person) -> None:
    with app.app_context():
        cache.delete(account_key(person.id))
        original, writes = cache.cache.set, []

        def set_late(key: str, value: Any, timeout: int | None = None) -> Any:
            # The write commits, and forgets, between the reader's load and its store.
            if not writes:
                writes.append(key)
                change_profile(person.id, {"bio": "new"}, vip_status_of(person.id))
            return original(key, value, timeout=timeout)

        cache.cache.set = set_late
        try:
            find_account(person.id)
        finally:
            del cache.cache.set
        assert writes
        found = find_account(person.id)
        assert found is not None
        assert found.bio == "new"


@pytest.mark.parametrize("nickname", ["\u200d", "\u3164", "\u2800\u2800", "\ufdfa" * 32], ids=ascii)
def test_a_nickname_that_cannot_be_seen_or_compared_is_refused(people: People, nickname: str) -> None:
    answer = people.add().post("/api/user/profile/modify", nickname=nickname)
    assert (answer.status_code, answer.json["code"]) == (422, 1002)
    assert list(answer.json["errors"]) == ["nickname"]


def test_an_invisible_letter_does_not_make_a_nickname_another(people: People) -> None:
    assert people.add().post("/api/user/profile/modify", nickname="小明").status_code == 200
    answer = people.add().post("/api/user/profile/modify", nickname="小\u200d明")
    assert answer.json["errors"] == {"nickname": ["This nickname is taken."]}
