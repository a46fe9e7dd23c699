"""What happens around every view, in its order: provoked from outside, recorded inside, guarded for the future."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from apiflask import APIBlueprint
from flask import Blueprint, Flask, Response, request_finished
from flask.testing import FlaskClient

from swiper import hooks
from swiper.bans.services import ban_network
from tests.factories import People

pytestmark = pytest.mark.usefixtures("app")

PREFLIGHT = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}


def ban(app: Flask, address: str) -> None:
    with app.app_context():
        ban_network(address)


# --- the order, provoked: of two hooks that would both answer, the earlier one does ---


def test_a_banned_stranger_hears_of_the_ban_not_of_the_login(app: Flask, client: FlaskClient) -> None:
    assert client.get("/api/user/profile").json["code"] == 1001
    ban(app, "127.0.0.1")
    assert client.get("/api/user/profile").json["code"] == 1010


def test_a_banned_address_gets_no_preflight_answer(app: Flask, client: FlaskClient) -> None:
    ban(app, "127.0.0.1")
    assert client.options("/api/user/profile/modify", headers=PREFLIGHT).status_code == 403


def test_a_preflight_is_answered_before_the_login_is_looked_at(client: FlaskClient) -> None:
    answer = client.options("/api/user/profile/modify", headers=PREFLIGHT)
    assert (answer.status_code, answer.get_data()) == (204, b"")


def test_a_foreign_page_is_refused_before_the_login_is_looked_at(client: FlaskClient) -> None:
    answer = client.post("/api/social/like", json={"sid": "1"}, headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.json["code"]) == (403, 1013)


def test_the_permission_comes_after_the_login_and_before_the_parameters(client: FlaskClient, people: People) -> None:
    for path in ("/api/social/superlike", "/api/social/rewind"):
        assert client.post(path, json={"sid": "nobody"}).json["code"] == 1001
        assert people.add().client.post(path, json={"sid": "nobody"}).json["code"] == 1004
        assert people.add(vip=3).client.post(path, json={"sid": "nobody"}).json["code"] == 1005


def test_the_request_id_is_there_even_when_the_first_hook_after_it_refuses(app: Flask, client: FlaskClient) -> None:
    ban(app, "127.0.0.1")
    answer = client.get("/api/user/profile")
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["X-Request-Id"])


# --- the order, recorded ---


@pytest.fixture
def record(make_app: Callable[..., Flask]) -> tuple[Flask, list[str]]:
    """An application that notes each hook as it runs."""
    app = make_app()
    calls: list[str] = []

    def noting(hook: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            calls.append(getattr(hook, "__qualname__", repr(hook)).partition(".")[0])
            return hook(*args)

        return run

    for registry in (app.before_request_funcs, app.after_request_funcs):
        for scope in registry:
            registry[scope] = [noting(hook) for hook in registry[scope]]
    for endpoint in ("social.superlike", "profiles.show_profile"):
        app.view_functions[endpoint] = noting(app.view_functions[endpoint])
    return app, calls


def of_ours(calls: list[str]) -> list[str]:
    """Without the hooks of extensions."""
    ours = {hook.__name__ for hook in (*hooks.BEFORE_REQUEST, *hooks.AFTER_REQUEST)}
    return [
        name for name in calls if name in ours | {"require_login", "superlike", "show_profile", "permission_required"}
    ]


def test_the_hooks_run_in_their_order_around_a_view(record: tuple[Flask, list[str]]) -> None:
    app, calls = record
    person = People(app).add()
    calls.clear()
    assert person.get("/api/user/profile").status_code == 200
    assert of_ours(calls) == [
        "open_request",
        "refuse_banned",
        "answer_preflight",
        "require_login",
        "show_profile",
        "add_cors_headers",
        "add_request_id",
    ]


def test_a_hook_that_answers_ends_the_request(record: tuple[Flask, list[str]]) -> None:
    app, calls = record
    after = ["add_cors_headers", "add_request_id"]
    client = app.test_client()
    assert client.get("/api/user/profile").status_code == 401
    assert of_ours(calls) == ["open_request", "refuse_banned", "answer_preflight", "require_login", *after]
    calls.clear()
    client.options("/api/user/profile", headers=PREFLIGHT)
    assert of_ours(calls) == ["open_request", "refuse_banned", "answer_preflight", *after]
    calls.clear()
    ban(app, "127.0.0.1")
    client.get("/api/user/profile")
    assert of_ours(calls) == ["open_request", "refuse_banned", *after]


# --- the login ---


def api_blueprints(app: Flask) -> dict[str, Blueprint]:
    """The blueprints with a route below /api/, by name."""
    names = {rule.endpoint.rpartition(".")[0] for rule in app.url_map.iter_rules() if rule.rule.startswith("/api/")}
    return {name: app.blueprints[name] for name in names}


def has_login_policy(app: Flask, name: str) -> bool:
    return any(hasattr(hook, "login_whitelist") for hook in app.before_request_funcs.get(name, []))


def test_every_blueprint_of_the_api_has_a_login_policy(app: Flask) -> None:
    found = api_blueprints(app)
    assert {"auth", "social", "vip"} <= set(found)
    assert [name for name in found if not has_login_policy(app, name)] == []


def test_the_guard_notices_a_blueprint_without_a_login_policy(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    careless = APIBlueprint("careless", __name__, url_prefix="/api/careless")
    careless.get("/")(lambda: {})
    app.register_blueprint(careless)
    assert [name for name in api_blueprints(app) if not has_login_policy(app, name)] == ["careless"]


def whitelisted(app: Flask) -> set[str]:
    return {
        f"{name}.{view}"
        for name, funcs in app.before_request_funcs.items()
        for hook in funcs
        for view in getattr(hook, "login_whitelist", ())
    }


def test_the_whitelist_is_short_and_names_existing_views(app: Flask) -> None:
    assert whitelisted(app) == {
        "auth.verify",
        "auth.verify_by_get",
        "auth.login",
        "vip.show_levels",
        "vip.receive_payment",
    }
    assert whitelisted(app) <= set(app.view_functions)


def test_every_other_route_of_the_api_refuses_a_stranger(app: Flask, client: FlaskClient) -> None:
    seen = set()
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/api/") or rule.endpoint in whitelisted(app):
            continue
        path = re.sub("<[^>]+>", "5", rule.rule)
        for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"}):
            answer = client.open(path, method=method)
            assert (answer.status_code, answer.json["code"]) == (401, 1001), f"{method} {path}"
            assert answer.json["data"] is None
            seen.add((method, path))
    assert len(seen) >= 20


def test_what_needs_no_login_needs_none(client: FlaskClient) -> None:
    for path in ("/", "/docs", "/openapi.json", "/healthz", "/readyz", "/api/vip/levels"):
        assert client.get(path).status_code == 200, path


def test_head_of_a_protected_page_needs_a_login_too(client: FlaskClient) -> None:
    assert client.head("/api/user/profile").status_code == 401


# --- CORS and foreign pages ---


@pytest.fixture
def cors_client(make_app: Callable[..., Flask]) -> FlaskClient:
    return make_app(cors_origins=["https://app.example"]).test_client()


def test_an_allowed_origin_may_read_answers(cors_client: FlaskClient) -> None:
    answer = cors_client.get("/api/vip/levels", headers={"Origin": "https://app.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
    assert "Origin" in answer.headers["Vary"]


def test_an_allowed_origin_may_read_errors_too(cors_client: FlaskClient) -> None:
    answer = cors_client.post("/api/user/login", json={}, headers={"Origin": "https://app.example"})
    assert answer.json["code"] == 1005
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"


def test_an_allowed_origin_s_preflight_names_what_is_allowed(cors_client: FlaskClient) -> None:
    answer = cors_client.options("/api/user/account", headers=PREFLIGHT)
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST, DELETE"
    assert "Content-Type" in answer.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://app.example",
        "https://app.example.evil.example",
        "https://app.example:8443",
        "null",
        "",
        "http://[",
        "https://APP.EXAMPLE/",
    ],
)
def test_a_foreign_origin_neither_reads_nor_changes(cors_client: FlaskClient, origin: str) -> None:
    answer = cors_client.get("/api/vip/levels", headers={"Origin": origin})
    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Origin" in answer.headers["Vary"]
    answer = cors_client.options("/api/user/account", headers=PREFLIGHT | {"Origin": origin})
    assert "Access-Control-Allow-Origin" not in answer.headers
    answer = cors_client.post("/api/user/verify", json={"phonenum": "13800138000"}, headers={"Origin": origin})
    assert (answer.status_code, answer.json["code"]) == (403, 1013)


def test_the_own_pages_and_allowed_origins_may_change(cors_client: FlaskClient) -> None:
    for origin in ("http://localhost", "https://app.example"):
        answer = cors_client.post("/api/user/login", json={}, headers={"Origin": origin})
        assert answer.json["code"] == 1005, origin


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("Example.COM", "http://example.com"),
        ("example.com", "http://EXAMPLE.com"),
        ("example.com", "HTTP://example.com"),
        ("example.com:80", "http://example.com"),
        ("example.com", "http://example.com:80"),
        # Behind a proxy that ends TLS and does not say so.
        ("example.com:443", "https://example.com"),
        ("example.com", "https://example.com:443"),
        ("example.com.", "http://example.com"),
        ("example.com", "http://example.com."),
        ("example.com:8443", "https://Example.com:8443"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("[2001:DB8::1]", "http://[2001:db8::1]"),
        ("xn--bcher-kva.example", "http://XN--bcher-kva.example"),
    ],
)
def test_a_host_is_the_same_however_it_is_written(client: FlaskClient, host: str, origin: str) -> None:
    for headers in ({"Origin": origin}, {"Referer": f"{origin}/page"}):
        answer = client.post("/api/user/login", json={}, headers={"Host": host} | headers)
        assert answer.json["code"] == 1005


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("example.com", "http://example.com:8080"),
        ("example.com", "http://example.com:443"),
        ("example.com", "https://example.com:80"),
        ("example.com:8443", "https://example.com"),
        ("example.com", "http://example.com.evil.example"),
        ("example.com", "http://example.com.."),
        ("example.com", "http://www.example.com"),
        ("[::1]", "http://[::1]:8000"),
        ("[::443]", "https://[:]"),
        ("example.com", "ftp://example.com"),
        ("example.com", "example.com"),
        ("example.com", "http://example.com\u212a"),
    ],
)
def test_another_host_or_port_stays_foreign(client: FlaskClient, host: str, origin: str) -> None:
    environ = {"HTTP_HOST": host, "HTTP_ORIGIN": origin}
    answer = client.post("/api/user/login", json={}, environ_overrides=environ)
    assert (answer.status_code, answer.json["code"]) == (403, 1013)


def test_an_allowed_origin_is_known_in_any_case(cors_client: FlaskClient) -> None:
    for origin in ("https://App.Example", "https://app.example:443"):
        answer = cors_client.post("/api/user/login", json={}, headers={"Origin": origin})
        assert answer.json["code"] == 1005
        assert answer.headers["Access-Control-Allow-Origin"] == origin


def test_a_client_without_an_origin_may_change(client: FlaskClient) -> None:
    assert client.post("/api/user/login", json={}).json["code"] == 1005
    assert client.post("/api/user/login", json={}, headers={"Sec-Fetch-Site": "same-origin"}).json["code"] == 1005


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_foreign_page_changes_nothing(app: Flask, people: People, headers: dict[str, str]) -> None:
    person, other = people.add(), people.woman()
    for method, path, body in (
        ("POST", "/api/user/profile/modify", {"bio": "taken over"}),
        ("POST", "/api/social/like", {"sid": str(other.id)}),
        ("DELETE", "/api/user/account", None),
        ("POST", "/api/user/logout", {}),
        ("GET", "/api/user/verify?phonenum=13800138000", None),
    ):
        answer = person.client.open(path, method=method, json=body, headers=headers)
        assert (answer.status_code, answer.json["code"]) == (403, 1013), path
    assert people.account(person).bio == ""
    assert person.get("/api/user/profile").status_code == 200
    with app.app_context():
        assert app.extensions["redis"].keys("{p:*}:lock") == []


def test_a_payment_provider_s_notice_may_come_from_anywhere(client: FlaskClient) -> None:
    answer = client.post("/api/vip/payments/sandbox/callback", json={}, headers={"Origin": "https://bank.example"})
    assert answer.json["code"] == 1014


# --- headers ---


@pytest.mark.parametrize("path", ["/", "/api/vip/levels", "/api/user/profile", "/no/such/route", "/healthz"])
def test_every_answer_has_the_security_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "Strict-Transport-Security" not in headers


def test_no_page_of_another_origin_may_embed_anything(client: FlaskClient) -> None:
    for path in ("/", "/media/none.jpg", "/portraits/male/5.svg", "/api/vip/levels", "/assets/tokens.css"):
        assert client.get(path).headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "camera=()" in client.get(path).headers["Permissions-Policy"]


def test_pages_of_allowed_origins_may_show_pictures_alone(cors_client: FlaskClient) -> None:
    for path, policy in (
        ("/media/none.jpg", "cross-origin"),
        ("/portraits/male/5.svg", "cross-origin"),
        ("/api/vip/levels", "same-origin"),
        ("/", "same-origin"),
        ("/mediate", "same-origin"),
    ):
        assert cors_client.get(path).headers["Cross-Origin-Resource-Policy"] == policy, path


def test_https_is_held_to(client: FlaskClient) -> None:
    assert "max-age=" in client.get("/healthz", base_url="https://localhost").headers["Strict-Transport-Security"]


def test_the_scheme_is_taken_from_a_trusted_proxy_alone(make_app: Callable[..., Flask], client: FlaskClient) -> None:
    forwarded = {"X-Forwarded-Proto": "https"}
    assert "Strict-Transport-Security" not in client.get("/healthz", headers=forwarded).headers
    behind = make_app(trusted_proxies=1).test_client()
    assert "Strict-Transport-Security" in behind.get("/healthz", headers=forwarded).headers


def test_answers_of_the_api_are_kept_by_nobody(client: FlaskClient, people: People) -> None:
    assert people.add().get("/api/user/profile").headers["Cache-Control"] == "no-store"
    assert client.get("/api/user/profile").headers["Cache-Control"] == "no-store"
    assert "public" in client.get("/api/vip/levels").headers["Cache-Control"]


# --- request ids ---


def test_each_request_has_an_id_of_its_own(client: FlaskClient) -> None:
    ids = {client.get("/healthz").headers["X-Request-Id"] for _ in range(5)}
    assert len(ids) == 5


def test_an_offered_id_is_taken_from_a_trusted_proxy_alone(make_app: Callable[..., Flask], client: FlaskClient) -> None:
    offered = {"X-Request-Id": "from-the-proxy-1"}
    assert client.get("/healthz", headers=offered).headers["X-Request-Id"] != "from-the-proxy-1"
    behind = make_app(trusted_proxies=1).test_client()
    assert behind.get("/healthz", headers=offered).headers["X-Request-Id"] == "from-the-proxy-1"


@pytest.mark.parametrize("offered", ["short", "x" * 65, "with space", "<script>", "ümlaut-is-no", "a" * 8 + ";b"])
def test_an_odd_id_is_not_taken_from_anybody(make_app: Callable[..., Flask], offered: str) -> None:
    behind = make_app(trusted_proxies=1).test_client()
    environ = {"HTTP_X_REQUEST_ID": offered.encode().decode("latin-1")}
    answer = behind.get("/healthz", environ_overrides=environ)
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["X-Request-Id"])


def test_the_answer_is_finished_once(app: Flask, client: FlaskClient) -> None:
    finished: list[Response] = []

    def note(_sender: Flask, response: Response, **_: Any) -> None:
        finished.append(response)

    with request_finished.connected_to(note, app):
        client.get("/api/user/profile")
    assert [response.status_code for response in finished] == [401]
