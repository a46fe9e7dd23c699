"""Who may use the desk and how a form proves its change; test_access.py tries each route as each role."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from swiper.admin import permissions
from swiper.admin.unlocks import unlock
from swiper.auth.session_list import end_all_sessions
from swiper.bans.services import ban_network
from swiper.errors import ParamError
from swiper.extensions import db
from swiper.profiles.accounts import delete_account, set_status
from swiper.profiles.models import Status
from swiper.profiles.operators import grant_role, revoke_role
from tests.admin.conftest import AdminClient
from tests.factories import People, client_holding, session_id_of

UID = "1" * 18


def desk_routes(app: Flask) -> list[tuple[str, str]]:
    """Method and an address of every route of the desk."""
    marks = {"<id:uid>": UID, "<id:sale_id>": UID, "<id:order_id>": UID, "<int(max=100):number>": "1"}
    found = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("admin."):
            path = rule.rule.replace("<path:filename>", "admin.css")
            for mark, value in marks.items():
                path = path.replace(mark, value)
            found += [(method, path) for method in (rule.methods or set()) - {"OPTIONS"}]
    return found


def in_app(app: Flask, work: Callable[..., Any], *args: Any) -> None:
    with app.app_context():
        work(*args)
        db.session.remove()


def test_there_are_routes_to_guard_and_all_stand_below_the_prefix(app: Flask) -> None:
    routes = desk_routes(app)
    assert len(routes) > 25
    assert all(path == "/admin" or path.startswith("/admin/") for _, path in routes)
    assert all("<" not in path for _, path in routes)


def test_strangers_are_sent_to_the_login_by_every_route(app: Flask, client: FlaskClient) -> None:
    for method, path in desk_routes(app):
        answer = client.open(path, method=method)
        assert (answer.status_code, answer.headers["Location"]) == (302, "/?next=/admin"), path


@pytest.mark.parametrize("vip", [0, 3])
def test_people_without_the_role_find_nothing_that_a_wrong_address_would_not_show(
    app: Flask, people: People, vip: int
) -> None:
    person = people.add(vip=vip)
    nothing = person.client.get("/no-such-page")
    for method, path in desk_routes(app):
        answer = person.client.open(path, method=method)
        assert (answer.status_code, answer.content_type) == (404, nothing.content_type), path
        assert method == "HEAD" or answer.data == nothing.data, path


def test_suspended_operators_are_refused(app: Flask, people: People, admin: AdminClient) -> None:
    in_app(app, set_status, admin.id, Status.SUSPENDED)
    # Of a session that was stored while the others were ended.
    client = people.client_of(admin.id)
    for method, path in desk_routes(app):
        answer = client.open(path, method=method)
        assert answer.status_code == 403, path
        assert method == "HEAD" or answer.json["code"] == 1010


def test_a_banned_address_is_refused_before_the_role_is_looked_at(app: Flask, admin: AdminClient) -> None:
    in_app(app, ban_network, "127.0.0.1")
    assert admin.get("/admin").json["code"] == 1010


def test_the_role_counts_from_the_moment_it_is_granted_until_it_is_revoked(app: Flask, people: People) -> None:
    person = people.add()
    assert person.get("/admin").status_code == 404
    in_app(app, grant_role, person.id)
    in_app(app, unlock, person.id, session_id_of(person.client))
    assert person.get("/admin").status_code == 200
    in_app(app, revoke_role, person.id)
    assert person.get("/admin").status_code == 404


def test_an_ended_session_is_a_stranger_s(app: Flask, admin: AdminClient) -> None:
    in_app(app, end_all_sessions, admin.id)
    assert admin.get("/admin").status_code == 302


def test_an_account_with_the_role_is_not_deleted_until_it_is_given_back(app: Flask, admin: AdminClient) -> None:
    with app.app_context(), pytest.raises(ParamError):
        delete_account(admin.id)
    assert admin.get("/admin").status_code == 200
    in_app(app, revoke_role, admin.id)
    in_app(app, delete_account, admin.id)
    assert admin.get("/admin").status_code == 302


def test_the_owner_of_an_account_may_export_that_it_has_the_role(people: People, admin: AdminClient) -> None:
    exported = admin.person.export().json["data"]["operator"]
    assert [row["uid"] for row in exported] == [str(admin.id)]
    assert people.add().export().json["data"]["operator"] == []


def test_without_redis_nobody_is_let_in(make_app: Callable[..., Flask], admin: AdminClient) -> None:
    away = make_app(redis_url="unix:///nowhere/redis.sock", cache_type="null")
    answer = client_holding(away, session_id_of(admin.client)).get("/admin")
    assert (answer.status_code, answer.json["code"]) == (503, 1011)


def test_pages_are_cached_by_nobody_and_run_nothing_inline(admin: AdminClient) -> None:
    answer = admin.get("/admin/people")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_pages_of_configured_origins_may_not_read_the_desk(make_app: Callable[..., Flask], admin: AdminClient) -> None:
    other = make_app(cors_origins=["https://app.example"])
    client = client_holding(other, session_id_of(admin.client))
    headers = {"Origin": "https://app.example"}
    assert "Access-Control-Allow-Origin" in client.get("/api/user/profile", headers=headers).headers
    answer = client.get("/admin/people", headers=headers)
    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers


# --- the token of the forms ---

BAN = {"network": "198.51.100.7"}


def bans_of(admin: AdminClient) -> bool:
    return "198.51.100.7" in admin.read("/admin/bans")


@pytest.mark.parametrize("token", [None, "", "x", "eyJ.eyJ.eyJ"])
def test_a_form_without_its_token_changes_nothing(admin: AdminClient, token: str | None) -> None:
    answer = admin.client.post("/admin/bans", data=BAN | ({"form_token": token} if token is not None else {}))
    assert answer.status_code == 403
    assert "expired" in answer.text
    assert not bans_of(admin)


def test_a_token_is_worth_nothing_in_another_session(add_operator: Callable[..., AdminClient], people: People) -> None:
    one, other = add_operator(), add_operator()
    again = AdminClient(one.person)
    token = one.token()
    again.client = people.client_of(one.id)
    for thief in (other, again):
        assert thief.client.post("/admin/bans", data=BAN | {"form_token": token}).status_code == 403
    assert not bans_of(one)
    assert one.client.post("/admin/bans", data=BAN | {"form_token": token}).status_code == 303
    assert bans_of(one)


def test_a_token_expires(admin: AdminClient, monkeypatch: pytest.MonkeyPatch) -> None:
    token = admin.token()
    monkeypatch.setattr(permissions, "FORM_SECONDS", -1)
    assert admin.client.post("/admin/bans", data=BAN | {"form_token": token}).status_code == 403


def test_every_change_of_the_desk_asks_for_the_token(app: Flask, admin: AdminClient) -> None:
    changing = [path for method, path in desk_routes(app) if method == "POST"]
    assert len(changing) == 15
    for path in changing:
        assert admin.client.post(path, data={}).status_code == 403, path


def test_a_foreign_page_changes_nothing_with_a_stolen_token(admin: AdminClient) -> None:
    data = BAN | {"form_token": admin.token()}
    answer = admin.client.post("/admin/bans", data=data, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert not bans_of(admin)


def test_a_change_never_writes_the_session_back(app: Flask, admin: AdminClient, people: People) -> None:
    """A request under way while all sessions end would bring its own back to life."""
    stored: Redis = app.extensions["redis"]
    answer = admin.post("/admin/bans", **BAN)
    assert not any(header.startswith("swiper_session") for header in answer.headers.getlist("Set-Cookie"))
    in_app(app, end_all_sessions, admin.id)
    assert stored.keys(f"{{u:{admin.id}}}:session:*") == []


def test_errors_reach_operators_as_a_page_and_outages_with_their_status(
    admin: AdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = admin.get("/admin/people/" + "9" * 18)
    assert (answer.status_code, answer.mimetype) == (404, "text/html")

    def away(*_: Any) -> None:
        raise RedisConnectionError()

    monkeypatch.setattr("swiper.admin.people.count_sessions", away)
    answer = admin.get(f"/admin/people/{admin.id}")
    assert (answer.status_code, answer.mimetype) == (503, "text/html")
