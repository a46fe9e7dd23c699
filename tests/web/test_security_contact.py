"""Whom to tell of a hole: /.well-known/security.txt, by RFC 9116."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from flask import Flask
from flask.testing import FlaskClient

from config.settings import ROOT, Settings

PATH = "/.well-known/security.txt"


def test_without_a_contact_there_is_no_such_page(client: FlaskClient) -> None:
    answer = client.get(PATH)
    assert (answer.status_code, answer.json["code"]) == (404, 1009)


def test_the_page_has_the_fields_that_the_rfc_wants(make_app: Callable[..., Flask]) -> None:
    canonical = "https://swiper.example/.well-known/security.txt"
    app = make_app(security_contact="mailto:security@swiper.example", security_canonical_url=canonical)
    answer = app.test_client().get(PATH, headers={"Host": "evil.example"})
    assert (answer.status_code, answer.content_type) == (200, "text/plain; charset=utf-8")
    fields = dict(line.split(": ", 1) for line in answer.text.splitlines())
    expires = datetime.fromisoformat(fields.pop("Expires"))
    assert timedelta(days=30) < expires - datetime.now(UTC) < timedelta(days=365)
    assert fields == {
        "Contact": "mailto:security@swiper.example",
        "Preferred-Languages": "zh, en",
        "Canonical": canonical,
    }


def test_the_address_is_left_out_where_nobody_has_set_it(make_app: Callable[..., Flask]) -> None:
    answer = make_app(security_contact="https://swiper.example/report").test_client().get(PATH)
    assert "Canonical" not in answer.text


def test_a_plain_mail_address_gets_its_scheme(settings: Settings) -> None:
    made = Settings(_env_file=None, instance=settings.instance, security_contact="security@swiper.example")
    assert made.security_contact == "mailto:security@swiper.example"


def test_the_repository_says_how_to_report() -> None:
    assert "security.txt" in (ROOT / "SECURITY.md").read_text()
