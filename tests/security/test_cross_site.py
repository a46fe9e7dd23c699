"""Other people's pages: what they can make a visitor's browser send, and what they can do with our answers."""

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.datastructures import Headers
from werkzeug.test import TestResponse

from config.settings import Environment
from swiper.bans.services import ban_network
from swiper.extensions import db, redis
from tests.factories import People, Person
from tests.security.state import difference, snapshot

pytestmark = pytest.mark.usefixtures("app")

EVIL = "https://evil.example"
# Signed by the payment provider, who is elsewhere by nature.
FROM_ANYWHERE = "vip.receive_payment"
CHANGING_GET = "auth.verify_by_get"

# What the browser of a visitor of another page says, each beside nothing else.
FOREIGN: dict[str, dict[str, str]] = {
    "another site": {"Origin": EVIL},
    "a sandboxed frame or a file": {"Origin": "null"},
    "an empty origin": {"Origin": ""},
    "another port": {"Origin": "http://localhost:8080"},
    "a subdomain": {"Origin": "http://a.localhost"},
    "a name that begins like ours": {"Origin": "http://localhost.evil.example"},
    "a name that ends like ours": {"Origin": "http://evil-localhost"},
    "our name as the user of another": {"Origin": "http://localhost@evil.example"},
    "a scheme of no web page": {"Origin": "chrome-extension://localhost"},
    "no scheme": {"Origin": "localhost"},
    "two origins": {"Origin": f"http://localhost {EVIL}"},
    "another site without an origin": {"Sec-Fetch-Site": "cross-site"},
    "a sister site without an origin": {"Sec-Fetch-Site": "same-site"},
    "an old browser on another site": {"Referer": f"{EVIL}/page?x=http://localhost/"},
    "an old browser on another port": {"Referer": "http://localhost:8080/"},
    "an origin that the referrer denies": {"Origin": EVIL, "Referer": "http://localhost/"},
    "an origin that the fetch header denies": {"Origin": EVIL, "Sec-Fetch-Site": "same-origin"},
}
OWN: dict[str, dict[str, str]] = {
    "our page": {"Origin": "http://localhost"},
    "our page behind a proxy that ends TLS": {"Origin": "https://localhost"},
    "our page without an origin": {"Sec-Fetch-Site": "same-origin"},
    "the address bar": {"Sec-Fetch-Site": "none"},
    "an old browser on our page": {"Referer": "http://localhost/docs?x=1"},
    "an old browser on our start page": {"Referer": "http://localhost"},
    "a program": {},
}


def changing_routes(app: Flask) -> list[tuple[str, str, str]]:
    """Method, path and endpoint of everything that may change something."""
    found = []
    for rule in app.url_map.iter_rules():
        path = re.sub("<[^>]+provider>", "sandbox", re.sub("<id:[^>]+>", "5", rule.rule)).replace(
            "<provider>", "sandbox"
        )
        methods = (rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}
        methods |= {"GET", "HEAD"} if rule.endpoint == CHANGING_GET else set()
        found += [(method, path, rule.endpoint) for method in sorted(methods)]
    return found


def body_of(path: str, me: Person, other: Person) -> dict[str, Any]:
    """A body with which the route would do its work; what a route does not know it would refuse."""
    bodies: dict[str, dict[str, Any]] = {
        "/api/user/verify": {"phonenum": "13912345678"},
        "/api/user/login": {"phonenum": "13912345678", "vcode": "123456"},
        "/api/user/profile/modify": {"bio": "taken over"},
        "/api/vip/orders": {"level": "1", "months": "1"},
        "/api/vip/qbuy": {"sale_id": "5"},
        **{f"/api/social/{kind}": {"sid": str(other.id)} for kind in ("like", "superlike", "dislike", "unfriend")},
    }
    return bodies.get(path, {})


@pytest.fixture
def me(people: People) -> Person:
    return people.add(vip=3)


@pytest.fixture
def other(people: People) -> Person:
    return people.woman()


def test_a_foreign_page_changes_nothing_by_any_route(app: Flask, me: Person, other: Person) -> None:
    me.like(other)
    before, routes = snapshot(app), changing_routes(app)
    assert len(routes) >= 19
    for name, headers in FOREIGN.items():
        for method, path, endpoint in routes:
            body = body_of(path, me, other)
            sent = {"query_string": body} if method in ("GET", "HEAD") else {"data": body}
            answer = me.client.open(path, method=method, headers=headers, **sent)
            code = None if method == "HEAD" else answer.json["code"]
            if endpoint == FROM_ANYWHERE:
                assert code == 1014
            else:
                assert (answer.status_code, code) == (403, None if method == "HEAD" else 1013), f"{name}: {path}"
        assert difference(before, snapshot(app)) == [], name
    with app.app_context():
        assert [key for key in redis.client.keys("*") if key.startswith((b"{p:", b"sms:", b"limit", b"LIMIT"))] == []


def test_our_own_pages_and_programs_may_change_things(people: People, other: Person) -> None:
    for number, (name, headers) in enumerate(OWN.items()):
        person, phone = people.add(), 13_912_345_678 + number
        for method, path, sent in (
            ("POST", "/api/user/profile/modify", {"json": {"bio": "mine"}}),
            ("POST", "/api/social/like", {"data": {"sid": str(other.id)}}),
            ("GET", "/api/user/verify", {"query_string": {"phonenum": str(phone)}}),
            ("DELETE", "/api/user/account", {"json": {"vcode": person.fresh_code()}}),
        ):
            assert person.client.open(path, method=method, headers=headers, **sent).status_code == 200, (
                f"{name}: {path}"
            )


def test_a_page_without_tls_is_foreign_where_tls_is_spoken(me: Person, people: People) -> None:
    """Whoever sits on the line can write such a page in our name."""
    for origin, status in (("http://localhost", 403), ("https://localhost", 200)):
        answer = me.client.post(
            "/api/user/profile/modify", json={"bio": origin}, headers={"Origin": origin}, base_url="https://localhost"
        )
        assert answer.status_code == status, origin


# The session cookie that the client holds is sent along wherever the path is ours.
OVERRIDES: list[dict[str, Any]] = [
    {"headers": {name: method}}
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
    for method in ("POST", "DELETE")
] + [
    {"query_string": {"_method": "DELETE"}},
    {"query_string": {"_method": "POST"}},
    {"query_string": {"method": "DELETE", "X-HTTP-Method-Override": "DELETE"}},
]


def test_a_get_stays_a_get(app: Flask, me: Person, other: Person) -> None:
    before = snapshot(app)
    # tests/admin asks the operator's desk, whose pages have the addresses of its changes.
    api = {path for _, path, _ in changing_routes(app) if path.startswith("/api/")}
    # These two have a GET of their own.
    paths = api - {"/api/user/verify", "/api/user/export"}
    for trick in OVERRIDES:
        for path in paths:
            query = body_of(path, me, other) | trick.get("query_string", {})
            answer = me.client.get(path, query_string=query, headers=trick.get("headers"))
            assert (answer.status_code, answer.json["code"]) == (405, 1009), f"{trick}: {path}"
    assert difference(before, snapshot(app)) == []


def test_a_post_is_made_into_no_delete(app: Flask, people: People, me: Person) -> None:
    before = snapshot(app)
    for path in ("/api/user/account", "/api/user/photos/5"):
        for trick in (
            {"data": {"_method": "DELETE"}},
            {"query_string": {"_method": "DELETE"}},
            {"headers": {"X-HTTP-Method-Override": "DELETE"}},
        ):
            assert me.client.post(path, **trick).status_code == 405
    assert difference(before, snapshot(app)) == []


def test_calling_a_post_a_get_does_not_make_it_harmless(app: Flask, me: Person) -> None:
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        headers = {"Origin": EVIL, name: "GET"}
        answer = me.client.post("/api/user/profile/modify?_method=GET", json={"bio": "x"}, headers=headers)
        assert (answer.status_code, answer.json["code"]) == (403, 1013)


def test_json_from_a_form_of_another_type_is_no_json(app: Flask, me: Person, other: Person) -> None:
    """A form can post JSON as plain text, for which a browser asks nobody's leave."""
    before = snapshot(app)
    for method, path, _ in changing_routes(app):
        body = body_of(path, me, other)
        if not body or method != "POST":
            continue
        text = '{"' + '","'.join(f'{name}":"{value}' for name, value in body.items()) + '","x="}'
        for kind in ("text/plain", "text/plain;charset=UTF-8", "application/csp-report", ""):
            answer = me.client.post(path, data=text, content_type=kind)
            assert (answer.status_code, answer.json["code"]) == (415, 1015), f"{kind}: {path}"
    assert difference(before, snapshot(app)) == []


def test_browsers_send_the_cookie_to_no_foreign_page_s_post(people: People) -> None:
    """What the checks above find is found a second time by the browser itself."""
    person = people.log_in("13800138000")
    cookie = person.client.get_cookie("swiper_session")
    assert cookie is not None
    assert cookie.same_site == "Lax"


# --- headers ---

POLICY = {
    "default-src": "'self'",
    "img-src": "'self' data: blob: https:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "form-action": "'self'",
}
DOCS_POLICY = POLICY | {"img-src": "'self' data:", "style-src": "'self' 'unsafe-inline'"}


def check_headers(answer: TestResponse, policy: dict[str, str] = POLICY) -> None:
    headers = answer.headers
    for name, value in (
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ):
        assert headers.getlist(name) == [value], f"{answer.request.path}: {name}"
    [line] = headers.getlist("Content-Security-Policy")
    parts = [part.strip().partition(" ") for part in line.split(";")]
    assert {name: value for name, _, value in parts} == policy, answer.request.path
    assert headers.get("Content-Type") or not answer.data
    answer.close()


def picture() -> tuple[io.BytesIO, str]:
    file = io.BytesIO()
    Image.new("RGB", (20, 20), "teal").save(file, "JPEG")
    file.seek(0)
    return file, "picture.jpg"


def test_every_kind_of_answer_has_the_security_headers(app: Flask, me: Person, other: Person) -> None:
    photo = me.client.post("/api/user/photos", data={"photo": picture()})
    preflight = {"Origin": EVIL, "Access-Control-Request-Method": "POST"}
    levels = me.get("/api/vip/levels")
    answers = [
        (201, photo),
        (200, me.get("/api/user/profile")),
        (204, me.client.options("/api/user/account", headers=preflight)),
        (200, me.client.options("/api/user/account")),
        (304, me.client.get("/api/vip/levels", headers={"If-None-Match": levels.headers["ETag"]})),
        (400, me.client.post("/api/social/like", data="{", content_type="application/json")),
        (401, app.test_client().get("/api/user/profile")),
        (403, other.superlike(me)),
        (403, me.client.post("/api/social/like", headers={"Origin": EVIL})),
        (404, me.get("/no/such/route")),
        (404, me.get("/api/vip/orders/5")),
        (404, me.get("/media/none.jpg")),
        (404, me.get("/assets/none.css")),
        (405, me.client.put("/api/user/profile")),
        (405, me.client.post("/")),
        (409, me.post("/api/social/rewind")),
        (413, me.client.post("/api/social/like", data="x" * 70_000, content_type="application/json")),
        (422, me.post("/api/social/like")),
        (200, me.get("/")),
        (200, me.get("/assets/tokens.css")),
        (200, me.get("/docs/assets/swagger-ui.css")),
        (200, me.get(photo.json["data"]["url"])),
        (200, me.get("/portraits/male/5.svg")),
        (200, me.get("/openapi.json")),
        (200, me.get("/healthz")),
        (200, me.get("/readyz")),
    ]
    for status, answer in answers:
        assert answer.status_code == status, answer.request.path
        check_headers(answer)
    check_headers(me.get("/docs"), DOCS_POLICY)


def test_answers_that_stand_for_trouble_have_the_security_headers(make_app: Callable[..., Flask], app: Flask) -> None:
    busy = make_app(login_per_ip_per_minute=1)

    @busy.get("/api/broken")
    def broken() -> Response:
        raise RuntimeError

    client = busy.test_client()
    login = {"phonenum": "13912345678", "vcode": "000000"}
    client.post("/api/user/login", json=login)
    with busy.app_context():
        ban_network("203.0.113.9")
        db.session.remove()
    for status, answer in (
        (429, client.post("/api/user/login", json=login)),
        (500, client.get("/api/broken")),
        (403, client.get("/", environ_base={"REMOTE_ADDR": "203.0.113.9"})),
    ):
        assert answer.status_code == status
        check_headers(answer)
    away = make_app(redis_url="unix:///nonexistent/redis.sock", cache_type="null").test_client()
    for answer in (away.post("/api/user/verify", json={"phonenum": "13912345678"}), away.get("/readyz")):
        assert answer.status_code == 503
        check_headers(answer)


def test_an_upload_is_never_taken_for_a_page(me: Person) -> None:
    url = me.client.post("/api/user/avatar/upload", data={"avatar": picture()}).json["data"]["url"]
    with me.get(url) as answer:
        assert answer.mimetype == "image/jpeg"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


# --- nobody is sent elsewhere ---

ELSEWHERE = [
    *(
        "//evil.example",
        "///evil.example",
        "//evil.example/..",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
    ),
    *("//evil.example/%2f..", "/https://evil.example", "/@evil.example", "//localhost@evil.example", "/;@evil.example"),
    *("//evil%E3%80%82example", "/%0d%0aLocation:%20https://evil.example", "/\r\nLocation: //evil.example"),
    *("/api//user/profile", "//api/vip/levels", "/media//evil.example", "/assets//evil.example", "/docs//", "/docs/"),
    *("//api/user/login", "/api/social//like"),
]


# Where the operator's desk sends strangers, whatever they have asked it for: to this very site.
TO_THE_LOGIN = "/?next=/admin"


def test_no_path_sends_anybody_elsewhere(app: Flask, client: FlaskClient) -> None:
    """Nor to a host that the client has named."""
    paths = {("GET", path) for path in ELSEWHERE} | {("POST", path) for path in ELSEWHERE}
    for rule in app.url_map.iter_rules():
        path = re.sub("<[^>]+>", "5", rule.rule)
        odd = {path, f"{path}/", f"/{path}", path.replace("/", "//"), f"{path}//evil.example", f"{path}?next={EVIL}"}
        paths |= {("POST" if "POST" in (rule.methods or ()) else "GET", each) for each in odd}
    for method, path in sorted(paths):
        plain, _, query = path.partition("?")
        # Straight into the environment: the test client would take `//evil.example` for a host.
        environ = {"PATH_INFO": plain, "QUERY_STRING": query}
        with client.open("/", method=method, headers={"Host": "evil.example"}, environ_overrides=environ) as answer:
            if answer.headers.get("Location") != TO_THE_LOGIN:
                assert not 300 <= answer.status_code < 400, f"{method} {path!r}"
                assert "Location" not in answer.headers
            assert "Refresh" not in answer.headers


FORGED_HOSTS: list[dict[str, str]] = [
    {"Host": "evil.example"},
    {"X-Forwarded-Host": "evil.example"},
    {"Host": "localhost:80@evil.example"},
    {"Host": "evil.example", "X-Forwarded-Proto": "javascript"},
    {"Forwarded": "host=evil.example;proto=https"},
    {"X-Host": "evil.example", "X-Original-URL": "/api/user/export", "X-Rewrite-URL": "/api/user/export"},
]


@pytest.mark.parametrize("proxies", [0, 1])
def test_a_forged_host_is_told_to_nobody(make_app: Callable[..., Flask], people: People, proxies: int) -> None:
    client = make_app(trusted_proxies=proxies).test_client()
    for headers in FORGED_HOSTS:
        for path in ("/", "/docs", "/openapi.json", "/api/vip/levels", "/api/user/profile", "/no/such/route"):
            answer = client.get(path, headers=headers)
            assert answer.status_code in (200, 400, 401, 404), path
            assert "evil.example" not in answer.text
            assert "evil.example" not in str(answer.headers)


# --- cookies ---


def cookies_of(answer: TestResponse) -> list[tuple[str, set[str]]]:
    """Name with value, and the attributes, of each cookie that an answer sets."""
    lines = Headers(answer.headers).getlist("Set-Cookie")
    return [(line.partition(";")[0], {part.strip() for part in line.split(";")[1:]}) for line in lines]


def test_in_production_each_cookie_is_held_back_from_pages_and_plain_lines(make_app: Callable[..., Flask]) -> None:
    app = make_app(environment=Environment.PRODUCTION)
    client = app.test_client()
    phone = {"phonenum": "13800138000"}
    answers = [client.post("/api/user/verify", json=phone, base_url="https://localhost")]
    login = phone | {"vcode": People(app).sent_code()}
    answers.append(client.post("/api/user/login", json=login, base_url="https://localhost"))
    for method, path in (
        ("GET", "/api/user/profile"),
        ("GET", "/api/social/hot"),
        ("GET", "/api/vip/levels"),
        ("GET", "/"),
        ("POST", "/api/user/logout"),
    ):
        answers.append(client.open(path, method=method, base_url="https://localhost"))
    assert [answer.status_code for answer in answers] == [200] * 7
    found = [(answer.request.path, *cookie) for answer in answers for cookie in cookies_of(answer)]
    paths = ["/api/user/verify", "/api/user/login", "/api/user/login", "/api/user/logout"]
    assert [path for path, _, _ in found] == paths
    (_, challenge, held), (_, value, attributes), (_, device, also_held), (_, gone, of_the_end) = found
    assert re.fullmatch("swiper_challenge=[A-Za-z0-9_-]{32}", challenge)
    assert re.fullmatch("swiper_device=[0-9]+[.][0-9a-f]{32}", device)
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/api/user"} <= held & also_held
    assert re.fullmatch("__Host-swiper_session=[1-9][0-9]*[.][A-Za-z0-9_-]{43}", value)
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= attributes
    assert gone == "__Host-swiper_session="
    # A browser takes neither the cookie nor its end without these.
    for each in (attributes, of_the_end):
        assert {"Secure", "Path=/"} <= each
        assert not any(attribute.startswith("Domain") for attribute in each)


def test_in_production_a_cookie_that_a_sister_host_can_plant_opens_nothing(make_app: Callable[..., Flask]) -> None:
    app = make_app(environment=Environment.PRODUCTION)
    attacker = People(app).add()
    sid = attacker.client.get_cookie("__Host-swiper_session").value
    for name, status in (("__Host-swiper_session", 200), ("swiper_session", 401), ("__host-swiper_session", 401)):
        headers = {"Cookie": f"{name}={sid}"}
        answer = app.test_client(use_cookies=False).get("/api/user/profile", headers=headers)
        assert answer.status_code == status, name


def test_nobody_gets_a_cookie_without_a_login(app: Flask, client: FlaskClient) -> None:
    client.post("/api/user/verify", json={"phonenum": "13912345678"})
    for rule in app.url_map.iter_rules():
        path = re.sub("<[^>]+>", "5", rule.rule)
        for method in (rule.methods or set()) - {"OPTIONS"}:
            with client.open(path, method=method, json={"phonenum": "13912345678", "vcode": "000000"}) as answer:
                assert cookies_of(answer) == [], f"{method} {path}"
    with app.app_context():
        assert redis.client.keys("*:session:*") == []


def test_a_page_that_caches_may_keep_sets_no_cookie(people: People) -> None:
    person, fresh = people.log_in("13800138000"), people.app.test_client()
    for path in ("/api/vip/levels", "/api/social/hot", "/", "/docs", "/openapi.json", "/assets/tokens.css"):
        for client in (person.client, fresh, person.client):
            with client.get(path) as answer:
                assert cookies_of(answer) == [], path
                is_shared = "public" in answer.headers.get("Cache-Control", "")
                assert not is_shared or path in ("/api/vip/levels", "/assets/tokens.css")
