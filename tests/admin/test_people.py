"""Finding people, looking at one, correcting a profile."""

import re

import pytest
from flask import Flask

from swiper.admin.people import people_called
from swiper.extensions import db
from swiper.profiles.models import Nickname, User
from swiper.robots.seeding import seed_robots
from tests.admin.conftest import AdminClient, actions
from tests.factories import People

IDS = re.compile(r'href="/admin/people/(\d+)"')
NEXT = re.compile(r'class="button" href="(/admin/people\?[^"]+)"')


def shown(page: str) -> list[int]:
    return [int(uid) for uid in IDS.findall(page.partition("<main")[2])]


def test_the_list_goes_through_everybody_once_the_newest_first(app: Flask, people: People, admin: AdminClient) -> None:
    made = [people.add(is_complete=False).id for _ in range(60)]
    found, page = [], admin.read("/admin/people")
    while True:
        found += shown(page)
        link = NEXT.search(page)
        if not link:
            break
        page = admin.read(link[1].replace("&amp;", "&"))
    assert found == sorted([*made, admin.id], reverse=True)


def test_a_search_by_id_goes_to_that_person(people: People, admin: AdminClient) -> None:
    person = people.add()
    answer = admin.post("/admin/people/search", wanted=str(person.id))
    assert answer.headers["Location"] == f"/admin/people/{person.id}"
    assert admin.post("/admin/people/search", wanted="9" * 19).status_code == 404


def test_a_search_by_phone_is_exact_stays_out_of_addresses_and_is_logged(
    app: Flask, people: People, admin: AdminClient
) -> None:
    person = people.add()
    spelt = person.phone.removeprefix("+86")
    answer = admin.post("/admin/people/search", wanted=f"{spelt[:3]} {spelt[3:7]} {spelt[7:]}")
    assert answer.headers["Location"] == f"/admin/people/{person.id}"
    assert actions(app) == [("find_by_phone", str(person.id))]
    pasted = admin.post("/admin/people/search", wanted=f"tel:+86\u2013{spelt}\u202c")
    assert pasted.headers["Location"] == f"/admin/people/{person.id}"
    answer = admin.post("/admin/people/search", wanted="13999999999")
    assert "13999999999" not in answer.headers["Location"]
    assert "Nobody has this number." in admin.read(answer.headers["Location"])
    # Whoever tries number after number leaves a trace, and no numbers in it.
    assert actions(app)[2:] == [("find_by_phone", "nobody")]


@pytest.mark.parametrize(
    "wanted",
    [
        "1390000000",
        "139-0000 000",
        "+86 1390000000",
        "139000000001",
        "１３９０００００",
        "tel:139000000001",
        "(+86)139\u2013000",
    ],
)
def test_what_is_nearly_a_phone_number_stays_out_of_addresses_too(admin: AdminClient, wanted: str) -> None:
    answer = admin.post("/admin/people/search", wanted=wanted)
    assert answer.headers["Location"] == "/admin/people"
    assert "Nobody has this number." in admin.read("/admin/people")


def test_a_robot_is_found_by_its_number(app: Flask, admin: AdminClient) -> None:
    with app.app_context():
        seed_robots(1, 7)
        robot = db.session.scalars(db.select(User).where(User.is_robot)).one()
        phone, uid = robot.phone, robot.id
        db.session.remove()
    answer = admin.post("/admin/people/search", wanted=phone)
    assert answer.headers["Location"] == f"/admin/people/{uid}"


def test_nicknames_are_found_by_their_beginning_as_they_are_folded(people: People, admin: AdminClient) -> None:
    names = ["Ánna", "ánnabel", "ANNA", "李雷", "李梅", "a%b", "a_b", "axb", "Straße", "🦊fox"]
    ids = {name: people.add(nickname=name).id for name in names}

    def found(prefix: str) -> set[str]:
        answer = admin.post("/admin/people/search", wanted=prefix)
        uids = set(shown(admin.read(answer.headers["Location"])))
        return {name for name, uid in ids.items() if uid in uids}

    assert found("án") == {"Ánna", "ánnabel"}
    assert found("ÁNNA") == {"Ánna", "ánnabel"}
    assert found("李") == {"李雷", "李梅"}
    # Neither sign stands for anything else.
    assert found("a%") == {"a%b"}
    assert found("a_") == {"a_b"}
    assert found("STRASS") == {"Straße"}
    assert found("🦊") == {"🦊fox"}
    assert found("nobody") == set()


def test_pages_of_a_prefix_neither_repeat_nor_skip(app: Flask, people: People, admin: AdminClient) -> None:
    names = {f"page{number:02d}": people.add(nickname=f"Page{number:02d}", is_complete=False).id for number in range(9)}
    with app.app_context():
        found, after = [], ""
        while batch := people_called("PAGE", 4, after):
            found += [user.id for user, _ in batch]
            after = batch[-1][1]
    assert found == [names[name] for name in sorted(names)]


def test_nicknames_are_in_the_order_of_their_characters_on_every_database(app: Flask, people: People) -> None:
    """Under another collation a prefix is no range of the key."""
    names = ["b", "ab", "a-c", "ac", "äb", "李", "\U0001f98a"]
    for name in names:
        people.add(nickname=name, is_complete=False)
    with app.app_context():
        query = db.select(Nickname.folded).where(Nickname.folded.in_(names)).order_by(Nickname.folded)
        assert list(db.session.scalars(query)) == sorted(names)


def test_the_phone_is_masked_until_an_operator_asks_which_is_logged(
    app: Flask, people: People, admin: AdminClient
) -> None:
    person = people.add()
    path = f"/admin/people/{person.id}"
    for page in (admin.read(path), admin.read("/admin/people")):
        assert person.phone not in page
        assert person.phone[-8:] not in page
    answer = admin.post(f"{path}/phone")
    assert person.phone in answer.text
    assert actions(app) == [("open_person", str(person.id)), ("show_phone", str(person.id))]
    assert person.phone not in admin.read(path)
    assert person.phone not in admin.read("/admin/actions")


def test_the_page_of_a_person_shows_what_there_is(people: People, admin: AdminClient) -> None:
    person = people.add(vip=3, bio="first line\nsecond line")
    women = [people.woman() for _ in range(3)]
    for woman in women:
        person.like(woman)
    women[0].like(person)
    person.post("/api/vip/orders", level=1, months=1)
    page = admin.read(f"/admin/people/{person.id}")
    numbers = dict(re.findall(r"<dt>([a-z ]+)</dt><dd>(\d+)</dd>", page))
    assert numbers == {"swipes": "3", "likes received": "1", "matches": "1", "orders": "1", "open sessions": "1"}
    assert "会员-3" in page
    assert "first line\nsecond line" in page


def test_what_people_write_does_not_run_on_the_desk(people: People, admin: AdminClient) -> None:
    evil = "<script>x</script>"
    person = people.add(nickname=evil, bio='"><img src=x onerror=alert(1)>{{ 7*7 }}')
    admin.change(f"/admin/people/{person.id}/suspend", reason="</td><script>y</script>")
    for page in (
        admin.read(f"/admin/people/{person.id}"),
        admin.read("/admin/people"),
        admin.read("/admin/people", nickname=evil),
        admin.read("/admin/actions"),
    ):
        assert "<script>x" not in page
        assert "<script>y" not in page
        assert "<img src=x" not in page
        assert "49" not in page.partition("Bio")[2].partition("</dd>")[0]


def test_sex_and_birthday_are_corrected_at_the_desk(app: Flask, people: People, admin: AdminClient) -> None:
    person = people.add()
    page = admin.read(f"/admin/people/{person.id}")
    assert f'action="/admin/people/{person.id}/correct"' in page
    admin.change(f"/admin/people/{person.id}/correct", sex="female", birthday="1990-01-02")
    profile = person.get("/api/user/profile").json["data"]
    assert (profile["sex"], profile["birthday"]) == ("female", "1990-01-02")
    admin.change(f"/admin/people/{person.id}/correct", sex="", birthday="1991-01-02")
    assert person.get("/api/user/profile").json["data"] == profile | {
        "birthday": "1991-01-02",
        "age": profile["age"] - 1,
    }
    changed = [line for line in actions(app) if line[0] != "open_person"]
    assert changed == [("correct_profile", str(person.id))] * 2
    for wrong in ({"sex": "any"}, {"birthday": "2024-01-01"}, {"birthday": "soon"}):
        assert admin.post(f"/admin/people/{person.id}/correct", **wrong).status_code == 422
    assert [line for line in actions(app) if line[0] != "open_person"] == changed
