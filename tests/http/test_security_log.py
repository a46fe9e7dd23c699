"""Security events: one JSON object a line, whoever causes them, and no secret in any."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.logging import logging_config
from config.settings import ROOT
from swiper.admin.unlocks import unlock
from swiper.logs import LOGGER, SecurityEvent
from swiper.profiles import operators
from tests.factories import People, session_id_of

PHONE = "13800138000"


class Lines(logging.Handler):
    """Keeps the lines of one test."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.text.append(record.getMessage())

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text]

    def of(self, event: SecurityEvent) -> dict[str, Any]:
        [found] = [line for line in self.events if line["event"] == event]
        return found


@pytest.fixture
def lines(app: Flask) -> Iterator[Lines]:
    handler = Lines()
    logging.getLogger(LOGGER).addHandler(handler)
    yield handler
    logging.getLogger(LOGGER).removeHandler(handler)


def test_a_login_has_its_account_address_and_request(people: People, lines: Lines) -> None:
    person = people.log_in(PHONE)
    line = lines.of(SecurityEvent.LOGIN)
    assert set(line) == {"time", "event", "request_id", "address", "uid"}
    assert (line["uid"], line["address"]) == (str(person.id), "127.0.0.1")
    assert len(line["request_id"]) == 16
    assert line["time"].endswith("+00:00")


@pytest.mark.parametrize("guess", ["000000", "no code", "12345"])
def test_a_failed_guess_names_the_number_in_part(client: FlaskClient, lines: Lines, guess: str) -> None:
    assert client.post("/api/user/login", json={"phonenum": PHONE, "vcode": guess}).status_code == 400
    assert lines.of(SecurityEvent.GUESS_FAILED)["phone"] == "+861****000"


def test_what_is_no_number_is_not_repeated(client: FlaskClient, lines: Lines) -> None:
    """People type the code into the wrong field."""
    client.post("/api/user/login", json={"phonenum": "963007", "vcode": "963007"})
    client.post("/api/user/verify", json={"phonenum": "963007"})
    assert not any("963007" in line for line in lines.text)


def test_budgets_that_are_used_up_are_told(app: Flask, client: FlaskClient, lines: Lines) -> None:
    for _ in range(2):
        client.post("/api/user/verify", json={"phonenum": PHONE})
    assert lines.of(SecurityEvent.CODE_REFUSED)["phone"] == "+861****000"
    app.config["LOGIN_PER_IP_PER_MINUTE"], former = 0, app.config["LOGIN_PER_IP_PER_MINUTE"]
    try:
        client.post("/api/user/login", json={"phonenum": PHONE, "vcode": "000000"})
    finally:
        app.config["LOGIN_PER_IP_PER_MINUTE"] = former
    assert lines.of(SecurityEvent.LOCKED_OUT)["phone"] == "+861****000"


def test_a_page_of_another_site_is_told_with_what_it_wanted(people: People, lines: Lines) -> None:
    person = people.add()
    person.client.post("/api/user/logout", headers={"Origin": "https://evil.example"})
    assert lines.of(SecurityEvent.CROSS_SITE_REFUSED)["endpoint"] == "auth.logout"


def test_the_desk_tells_whom_it_refused(app: Flask, people: People, lines: Lines) -> None:
    stranger, operator = people.add(), people.add()
    assert stranger.client.get("/admin").status_code == 404
    assert lines.of(SecurityEvent.DESK_REFUSED)["uid"] == str(stranger.id)
    with app.app_context():
        operators.grant_role(operator.id)
        unlock(operator.id, session_id_of(operator.client))
    operator.client.post("/admin/bans", data={"network": "203.0.113.9"})
    assert lines.of(SecurityEvent.CROSS_SITE_REFUSED)["uid"] == str(operator.id)


def test_a_logout_everywhere_is_told(people: People, lines: Lines) -> None:
    person = people.add()
    person.client.post("/api/user/logout", json={"all": True})
    assert lines.of(SecurityEvent.LOGGED_OUT_EVERYWHERE)["uid"] == str(person.id)


def test_events_have_a_file_of_bare_json(app: Flask, client: FlaskClient) -> None:
    path: Path = app.config["LOG_DIR"] / "security.log"
    client.post("/api/user/login", json={"phonenum": PHONE, "vcode": "000000"})
    last = path.read_text(encoding="utf-8").splitlines()[-1]
    assert json.loads(last)["event"] == "guess_failed"


def test_the_file_is_kept_for_ninety_days(tmp_path: Path) -> None:
    handler = logging_config(tmp_path, "INFO")["handlers"]["security"]
    assert (handler["filename"], handler["when"], handler["backupCount"]) == (
        str(tmp_path / "security.log"),
        "midnight",
        90,
    )


def test_the_page_lists_every_event() -> None:
    page = (ROOT / "docs/security-log.md").read_text(encoding="utf-8")
    assert [event for event in SecurityEvent if f"| `{event.value}` |" not in page] == []
