"""Pages, health checks, uploaded files and portraits."""

import xml.etree.ElementTree as ET

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.settings import Environment


def test_the_start_page_hints_at_the_outbox_only_in_development(client: FlaskClient, make_app) -> None:
    assert "sms-outbox" not in client.get("/").text
    assert "sms-outbox" in make_app(environment=Environment.DEVELOPMENT).test_client().get("/").text


def test_pages_run_no_inline_script(client: FlaskClient) -> None:
    for path in ("/", "/docs"):
        answer = client.get(path)
        assert "script-src" not in answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "<script>" not in answer.text


def test_health_is_ok_with_database_and_redis(client: FlaskClient) -> None:
    assert client.get("/healthz").json == {"code": 0, "data": {"status": "ok"}}
    assert client.get("/readyz").status_code == 200


def test_a_portrait_is_always_the_same_and_differs_from_others(client: FlaskClient) -> None:
    first = client.get("/portraits/female/21000000001.svg")
    assert first.mimetype == "image/svg+xml"
    assert ET.fromstring(first.text).tag.endswith("svg")
    assert client.get("/portraits/female/21000000001.svg").text == first.text
    assert client.get("/portraits/female/21000000002.svg").text != first.text
    assert client.get("/portraits/male/21000000001.svg").text != first.text


@pytest.mark.parametrize("path", ["/media/../secret-key", "/media/%2e%2e/secret-key", "/media/none.jpg", "/media/"])
def test_nothing_outside_the_media_folder_is_served(app: Flask, client: FlaskClient, path: str) -> None:
    app.config["MEDIA_DIR"].mkdir(exist_ok=True)
    (app.config["INSTANCE"] / "secret-key").write_text("x")
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json["code"] == 1009


def test_an_uploaded_file_is_served(app: Flask, client: FlaskClient) -> None:
    (app.config["MEDIA_DIR"] / "ab").mkdir(exist_ok=True, parents=True)
    (app.config["MEDIA_DIR"] / "ab" / "cd.jpg").write_bytes(b"picture")
    with client.get("/media/ab/cd.jpg") as answer:
        assert answer.data == b"picture"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
