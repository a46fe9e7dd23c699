"""What nginx passes on, adds, serves by itself and keeps."""

import io
import signal

import pytest
from flask import Flask
from PIL import Image

from swiper.http.hooks import SECURITY_HEADERS
from tests.factories import People
from tests.nginx.fronts import STRANGER, Front, ban, header_lines, picture, unban
from tests.processes import Visitor

pytestmark = pytest.mark.services


def test_api_answers_through_nginx(front: Front, people: People) -> None:
    person = people.add(nickname="小明")
    with front.visit(person) as visitor:
        answer = visitor.get("/api/user/profile")
        assert answer.status_code == 200
        assert answer.json()["data"]["nickname"] == "小明"
        assert visitor.get("/api/nowhere").json()["code"] == 1009
        assert "nginx/" not in answer.headers["Server"]


def test_request_id_is_made_by_nginx_and_the_same_in_the_application(front: Front, visitor: Visitor) -> None:
    answer = visitor.get("/healthz", headers={"X-Request-Id": "forged-by-a-client"})
    (request_id,) = header_lines(answer, "X-Request-Id")
    assert len(request_id) == 32
    access_log = front.folder / "swiper-access.log"
    assert f"id={request_id}" in access_log.read_text()


def test_phone_numbers_stay_out_of_the_access_log(front: Front, visitor: Visitor) -> None:
    assert visitor.get("/api/user/verify", params={"phonenum": "13912345678"}).status_code == 200
    assert "13912345678" not in (front.folder / "swiper-access.log").read_text()


@pytest.mark.parametrize(
    "forged",
    [
        {"X-Forwarded-For": STRANGER},
        {"X-Forwarded-For": f"{STRANGER}, {STRANGER}"},
        {"X-Real-IP": STRANGER, "Forwarded": f"for={STRANGER}"},
        {"X_Forwarded_For": STRANGER},
    ],
)
def test_client_cannot_forge_its_address(app: Flask, visitor: Visitor, forged: dict[str, str]) -> None:
    ban(app, STRANGER)
    assert visitor.get("/api/user/profile", headers=forged).status_code == 401
    ban(app, "127.0.0.1")
    unban(app, STRANGER)
    answer = visitor.get("/api/user/profile", headers=forged)
    assert (answer.status_code, answer.json()["code"]) == (403, 1010)


def test_client_cannot_forge_scheme_or_host(visitor: Visitor) -> None:
    answer = visitor.get("/healthz", headers={"X-Forwarded-Proto": "https"})
    assert "Strict-Transport-Security" not in answer.headers
    # A change from a page of another origin is refused although the page names itself as the host.
    forged = {"Origin": "http://evil.example", "X-Forwarded-Host": "evil.example"}
    assert visitor.post("/api/user/verify", json={"phonenum": "13912345678"}, headers=forged).status_code == 403


def test_page_of_our_own_origin_may_change_things(front: Front, visitor: Visitor) -> None:
    answer = visitor.post("/api/user/verify", json={"phonenum": "13912345678"}, headers={"Origin": front.base})
    assert answer.status_code == 200


def test_security_headers_come_once(visitor: Visitor) -> None:
    for path in ("/", "/healthz", "/api/vip/levels", "/api/user/profile", "/assets/tokens.css", "/api/nowhere"):
        answer = visitor.get(path)
        for name, value in SECURITY_HEADERS.items():
            assert header_lines(answer, name) == [value], (path, name)
        assert len(header_lines(answer, "X-Request-Id")) == 1
        assert len(header_lines(answer, "Cache-Control")) <= 1


def test_upload_and_assets_are_served_by_nginx_itself(front: Front, people: People) -> None:
    person = people.add()
    with front.visit(person) as visitor:
        answer = visitor.post("/api/user/avatar/upload", files={"avatar": ("a.jpg", picture(), "image/jpeg")})
        assert answer.status_code == 201, answer.text
        url = answer.json()["data"]["url"]
        for program in front.instances.values():
            program.send(signal.SIGSTOP)
        try:
            shown = visitor.get(url, timeout=10)
            asset = visitor.get("/assets/tokens.css", timeout=10)
            missing = visitor.get("/media/ab/" + "0" * 32 + ".jpg", timeout=10)
            partial = visitor.get("/media/../swiper.db", timeout=10)
        finally:
            for program in front.instances.values():
                program.send(signal.SIGCONT)
    assert (shown.status_code, shown.headers["Content-Type"]) == (200, "image/jpeg")
    assert Image.open(io.BytesIO(shown.content)).size == (40, 40)
    assert "immutable" in shown.headers["Cache-Control"]
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in shown.headers["Content-Security-Policy"]
    assert asset.status_code == 200
    assert asset.headers["Content-Type"].startswith("text/css")
    assert (missing.status_code, missing.json()["code"]) == (404, 1009)
    assert partial.status_code in (400, 404)


def test_too_large_body_gets_the_envelope(front: Front, people: People) -> None:
    person = people.add()
    with front.visit(person) as visitor:
        large = {"avatar": ("a.jpg", b"\xff" * (10 * 1024 * 1024 + 70_000), "image/jpeg")}
        answer = visitor.post("/api/user/avatar/upload", files=large, headers={"Accept-Language": "zh-CN"})
        assert (answer.status_code, answer.json()) == (413, {"code": 1005, "data": None, "message": "请求体过大。"})
        assert answer.headers["Content-Type"].startswith("application/json")
        for name in ("X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Content-Security-Policy"):
            assert len(header_lines(answer, name)) == 1, name
        answer = visitor.post("/api/user/profile/modify", json={"bio": "x" * 300_000})
        assert (answer.status_code, answer.json()["message"]) == (413, "The body is too large.")
        # A picture of just 10 MB reaches the application, which says what is wrong with it.
        full = {"avatar": ("a.jpg", b"\xff" * (10 * 1024 * 1024), "image/jpeg")}
        assert visitor.post("/api/user/avatar/upload", files=full).status_code == 422


def test_levels_page_is_kept_for_a_moment_and_knows_no_cookie(front: Front, people: People) -> None:
    with front.visit(people.add()) as visitor:
        answers = [visitor.get("/api/vip/levels") for _ in range(4)]
    assert "HIT" in [answer.headers["X-Cache-Status"] for answer in answers]
    assert {answer.text for answer in answers} == {answers[0].text}
    assert all("Set-Cookie" not in answer.headers for answer in answers)
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == 4
    with front.visit() as visitor:
        again = visitor.get("/api/vip/levels", headers={"If-None-Match": answers[-1].headers["ETag"]})
        assert again.status_code == 304
        assert "X-Cache-Status" not in visitor.get("/api/social/hot").headers


def test_answers_of_an_acme_client_are_served_over_plain_http(front: Front, visitor: Visitor) -> None:
    folder = front.folder / "acme/.well-known/acme-challenge"
    folder.mkdir(parents=True)
    (folder / "token").write_text("token.thumbprint")
    answer = visitor.get("/.well-known/acme-challenge/token")
    assert (answer.status_code, answer.text) == (200, "token.thumbprint")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert visitor.get("/.well-known/acme-challenge/other").json()["code"] == 1009
