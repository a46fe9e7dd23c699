"""Log lines: numbers and secrets masked, ids readable, files rotated, nothing lost between processes."""

import json
import logging
import logging.config
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.log_formats import JsonFormatter
from config.logging import logging_config
from config.settings import ROOT, Settings
from swiper.logs import MaskingFormatter, mask, request_id_var
from tests.factories import People
from tests.processes import answers_at, environment_of, free_port, gunicorn

WRITER = """
import logging, logging.config, sys
from pathlib import Path
from config.logging import logging_config
config = logging_config(Path(sys.argv[1]), "INFO")
config["root"]["handlers"].remove("console")
logging.config.dictConfig(config)
log = logging.getLogger("writer")
for number in range(int(sys.argv[3])):
    log.info("process %s line %d 完", sys.argv[2], number)
"""


@pytest.fixture
def log_file(app: Flask) -> Path:
    """The info file of the test application, emptied."""
    path: Path = app.config["LOG_DIR"] / "info.log"
    logging.getLogger("tests").info("made")
    path.write_text("")
    return path


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("to +8613800138000.", "to +861****000."),
        ("13800138000", "138****000"),
        ("'+85251234567'", "'+852****567'"),
        ("+12024561111,+442079460958", "+120****111,+442****958"),
        ("键：13800138000，", "键：138****000，"),
    ],
)
def test_phone_numbers_are_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "249874283738428287",
        "9223372036854775807",
        "2026-11-21 12:18:02,123",
        "1234567",
        "order 249874283738428287 of 249874283738428288",
    ],
)
def test_ids_and_times_stay_readable(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "vcode=123456",
        "{'vcode': '123456'}",
        '{"vcode": "123456"}',
        "password: 123456",
        "SECRET_KEY=123456",
        "token=123456&x=1",
        "Cookie: 123456",
    ],
)
def test_named_secrets_are_masked(text: str) -> None:
    assert "123456" not in mask(text)
    assert "***" in mask(text)


def format_failure(formatter: logging.Formatter) -> str:
    try:
        raise ValueError("no user with +8613800138000 and vcode=123456")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "", 1, "login of %s failed", ("13800138000",), sys.exc_info())
    return formatter.format(record)


def test_tracebacks_are_masked_too() -> None:
    text = format_failure(MaskingFormatter("[%(request_id)s] %(message)s"))
    assert "Traceback" in text
    assert "+861****000" in text
    assert "138001" not in text
    assert "123456" not in text


@pytest.mark.parametrize("request_id", ["412244bd16912345658", "1234567890", "a12345678901b", "-"])
def test_the_request_id_stays_as_it_is(request_id: str) -> None:
    token = request_id_var.set(request_id)
    try:
        text = format_failure(MaskingFormatter("%(asctime)s [%(request_id)s] %(message)s"))
    finally:
        request_id_var.reset(token)
    assert f"[{request_id}]" in text
    assert "13800138000" not in text


def test_a_request_s_lines_carry_its_id(client: FlaskClient, people: People, log_file: Path) -> None:
    client.post("/api/user/verify", json={"phonenum": "13800138000"})
    app = client.application

    with app.test_request_context("/healthz"):
        app.preprocess_request()
        logging.getLogger("tests").info("inside")
        answer = app.process_response(app.make_response(""))
    assert f"[{answer.headers['X-Request-Id']}] tests: inside" in log_file.read_text(encoding="utf-8")


def test_a_login_leaves_neither_number_nor_code(people: People, log_file: Path) -> None:
    people.log_in("13800138000")
    logging.getLogger("tests").info("完成 %s", "+8613800138000")
    text = log_file.read_text(encoding="utf-8")
    assert "console sent a code" in text
    assert "完成 +861****000" in text
    assert "13800138000" not in text


def test_the_files_rotate_as_the_operators_expect(tmp_path: Path) -> None:
    handlers = logging_config(tmp_path, "INFO")["handlers"]
    info, error = handlers["info"], handlers["error"]
    assert (info["filename"], info["when"], info["backupCount"]) == (str(tmp_path / "info.log"), "midnight", 30)
    assert (error["filename"], error["when"], error["backupCount"]) == (str(tmp_path / "error.log"), "W0", 4)
    assert (info["level"], error["level"]) == ("INFO", "ERROR")
    assert {info["encoding"], error["encoding"]} == {"utf-8"}
    assert {
        name: handler["formatter"] for name, handler in handlers.items() if handler.get("formatter", "line") != "line"
    } == {"security": "event"}


def test_a_record_as_json_has_all_facts_on_one_line_and_is_masked() -> None:
    token = request_id_var.set("412244bd16912345658")
    try:
        text = format_failure(JsonFormatter())
    finally:
        request_id_var.reset(token)
    assert len(text.splitlines()) == 1
    found = json.loads(text)
    assert set(found) == {"time", "level", "logger", "request_id", "message", "exception"}
    assert datetime.fromisoformat(found["time"]).tzinfo == UTC
    assert (found["level"], found["logger"], found["request_id"]) == ("ERROR", "x", "412244bd16912345658")
    assert found["message"] == "login of 138****000 failed"
    assert "Traceback" in found["exception"]
    assert "ValueError: no user with +861****000 and vcode=***" in found["exception"]


@pytest.mark.parametrize("message", ["two\nlines", "a line\u2028separator", "half a pair: \ud800", "完成"])
def test_no_message_breaks_the_line_of_a_json_object(message: str) -> None:
    record = logging.LogRecord("x", logging.INFO, "", 1, message, (), None)
    text = JsonFormatter().format(record)
    assert len(text.splitlines()) == 1
    text.encode()
    assert json.loads(text) == {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": "INFO",
        "logger": "x",
        "request_id": request_id_var.get(),
        "message": message,
    }


def test_with_json_console_and_files_hold_objects_and_the_security_log_stays_as_it_is(tmp_path: Path) -> None:
    handlers = logging_config(tmp_path, "INFO", "json")["handlers"]
    assert {name: handler["formatter"] for name, handler in handlers.items() if "formatter" in handler} == {
        "console": "json",
        "info": "json",
        "error": "json",
        "security": "event",
    }


def write_in_process(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a process of its own, where nothing else logs."""
    return subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )


LONG_WRITER = """
import logging, logging.config, sys
from pathlib import Path
import config.logging
config.logging.MB = 1000
logging.config.dictConfig(config.logging.logging_config(Path(sys.argv[1]), "INFO", "json", 2))
log = logging.getLogger("writer")
for number in range(1000):
    log.info("line %04d %s", number, "x" * 80)
"""


def test_files_are_rotated_by_size_and_the_newest_are_kept(tmp_path: Path) -> None:
    write_in_process(tmp_path, LONG_WRITER)
    files = [path for path in tmp_path.glob("info.log*") if path.suffix != ".lock"]
    assert len(files) == 31
    assert max(path.stat().st_size for path in files) < 2_500
    numbers = sorted(int(json.loads(line)["message"][5:9]) for path in files for line in path.read_text().splitlines())
    assert numbers == list(range(numbers[0], 1000))
    assert len(numbers) > 200


def test_without_a_limit_no_file_is_rotated_by_size(tmp_path: Path) -> None:
    write_in_process(tmp_path, LONG_WRITER.replace('"json", 2)', '"json", 0)'))
    assert len((tmp_path / "info.log").read_text().splitlines()) == 1000


def test_gunicorn_and_its_workers_log_json_alone_where_that_is_set(
    app: Flask, settings: Settings, tmp_path: Path
) -> None:
    port = free_port()
    env = environment_of(settings, LOG_FORMAT="json", LOG_DIR=tmp_path / "logs")
    with gunicorn(env, port, tmp_path / "gunicorn.log") as program:
        program.wait_for(lambda: answers_at(f"http://127.0.0.1:{port}"), "it does not serve")
        assert program.stop() == 0
    found = [json.loads(line) for line in program.output.splitlines()]
    assert {"gunicorn.error"} <= {line["logger"] for line in found}
    assert any("worker serves on" in line["message"] for line in found)
    assert any("Shutting down" in line["message"] for line in found)


def test_errors_alone_reach_the_error_file(app: Flask) -> None:
    info, error = app.config["LOG_DIR"] / "info.log", app.config["LOG_DIR"] / "error.log"
    log = logging.getLogger("tests")
    log.info("only-a-note")
    log.error("a-real-error")
    assert "only-a-note" in info.read_text(encoding="utf-8")
    assert "a-real-error" in info.read_text(encoding="utf-8")
    assert "a-real-error" in error.read_text(encoding="utf-8")
    assert "only-a-note" not in error.read_text(encoding="utf-8")


def test_processes_that_write_at_once_lose_no_line(tmp_path: Path) -> None:
    lines, writers = 200, 4
    started = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(number), str(lines)], cwd=ROOT)
        for number in range(writers)
    ]
    assert [process.wait(60) for process in started] == [0] * writers
    text = (tmp_path / "info.log").read_text(encoding="utf-8")
    found = re.findall(r"^\d{4}-.* INFO {4}\[-\] writer: process (\d) line (\d+) 完$", text, re.MULTILINE)
    assert len(text.splitlines()) == lines * writers
    assert len(set(found)) == lines * writers
