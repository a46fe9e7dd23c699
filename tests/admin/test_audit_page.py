"""The page of the audit log."""

import re
from collections.abc import Callable
from typing import Any

from flask import Flask
from sqlalchemy import select

from swiper.admin import changes
from swiper.admin.audit import Action, record
from swiper.admin.models import OperatorAction
from swiper.db.transactions import transactional
from swiper.extensions import db
from tests.admin.conftest import AdminClient
from tests.factories import People

PHONE = "+8613800000000"


@transactional
def write(count: int, **entry: Any) -> None:
    for number in range(count):
        record(entry.get("uid"), entry.get("action", Action.BAN), entry.get("target", f"192.0.2.{number}"), None, {})


def targets(page: str) -> list[str]:
    return re.findall(r'<td class="id">([^<]+)</td>', page)


def test_the_page_filters_and_goes_on_where_it_ended(app: Flask, people: People, admin: AdminClient) -> None:
    person = people.add()
    with app.app_context():
        write(60)
        write(1, uid=admin.id, action=Action.SUSPEND, target=person.id)
        db.session.remove()
    page = admin.read("/admin/actions")
    link = re.search(r'class="button" href="([^"]+)"', page)
    assert link
    rest = targets(admin.read(link[1].replace("&amp;", "&")))
    assert targets(page) + rest == [str(person.id), *[f"192.0.2.{number}" for number in reversed(range(60))]]
    for query in ({"uid": admin.id}, {"action": "suspend"}, {"target": person.id}):
        assert targets(admin.read("/admin/actions", **query)) == [str(person.id)], query
    assert targets(admin.read("/admin/actions", target="nobody")) == []
    assert admin.get("/admin/actions", action="rule").status_code == 422


def test_phones_in_the_log_are_masked(app: Flask, people: People, admin: AdminClient) -> None:
    person = people.add()
    admin.change(f"/admin/people/{person.id}/suspend", reason=f"wrote from {PHONE} and 13912345678")
    page = admin.read("/admin/actions")
    assert "wrote from" in page
    assert PHONE not in page
    assert "13912345678" not in page
    assert str(person.id) in page


def test_the_log_outlives_the_account_of_its_operator(
    app: Flask, admin: AdminClient, add_operator: Callable[[], AdminClient]
) -> None:
    other = add_operator()
    other.change("/admin/bans", network="203.0.113.9")
    name = other.person.get("/api/user/profile").json["data"]["nickname"]
    with app.app_context():
        changes.revoke_role(None, other.person.phone)
    assert other.person.delete_account().status_code == 200
    page = admin.read("/admin/actions", action="ban")
    assert "203.0.113.9/32" in page
    assert name in page


def test_nothing_on_the_desk_removes_an_entry(app: Flask) -> None:
    methods = {
        method
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("admin.") and "actions" in rule.rule
        for method in rule.methods or ()
    }
    assert methods == {"GET", "HEAD", "OPTIONS"}


def test_opening_a_person_leaves_an_entry_with_the_operator_s_name_of_that_time(
    app: Flask, people: People, add_operator: Callable[..., AdminClient]
) -> None:
    admin, person = add_operator(nickname="first name"), people.add()
    admin.read(f"/admin/people/{person.id}")
    admin.person.client.post("/api/user/profile/modify", json={"nickname": "second name"})
    with app.app_context():
        [entry] = db.session.scalars(select(OperatorAction).where(OperatorAction.action == "open_person"))
        assert (entry.actor, entry.target) == ("first name", str(person.id))
    assert "first name" in admin.read("/admin/actions")
