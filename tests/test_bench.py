"""The bench's own tools: what it reads from PostgreSQL's log, what it hands to pgbench, what it counts on the wire."""

import socket
import threading
from pathlib import Path

import pytest

from bench.load import Results, Round
from bench.measurements.ablation import against_bare_view
from bench.measurements.reads import DECK, PROFILE
from bench.measurements.writes import LIKE
from bench.pgbench import Script
from bench.relay import CountingRelay
from bench.report import Row, as_markdown, put_into
from bench.servers import Statement


def test_a_logged_statement_is_read_with_its_parameters() -> None:
    detail = "parameters: $1 = '7', $2 = NULL, $3 = 'it''s'"
    read = Statement.read("execute _pg3_4: SELECT $1,\n  $2, $3", detail)
    assert read == Statement("SELECT $1,\n  $2, $3", {1: "7", 2: None, 3: "it's"})
    assert Statement.read("statement: BEGIN", "") == Statement("BEGIN", {})
    assert Statement.read("checkpoint starting: time", "") is None


def test_ids_and_moments_of_the_example_become_those_of_each_pair(tmp_path: Path) -> None:
    text = "INSERT INTO t VALUES ($1::BIGINT, $2, $3::TIMESTAMPTZ, $4, $5,\n $6)"
    values = {1: "123", 2: "456", 3: "2026-11-21 18:27:33.08+00", 4: None, 5: "like", 6: '{"a": 123, "b": 456}'}
    script = Script([Statement("BEGIN", {}), Statement(text, values)], (123, 456), tmp_path)
    *_, begin, insert = script.path.read_text().splitlines()
    assert begin == "BEGIN;"
    assert insert == (
        "INSERT INTO t VALUES (:uid::BIGINT, :sid, now()::TIMESTAMPTZ, NULL, 'like', "
        "('{\"a\": ' || :uid::text || ', \"b\": ' || :sid::text || '}'));"
    )


def _echo(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        while data := connection.recv(100):
            connection.sendall(data)


def test_what_is_sent_before_an_answer_comes_is_one_round_trip() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_echo, args=(listener,))
        thread.start()
        with CountingRelay(listener.getsockname()[1]) as relay:
            with socket.create_connection(("127.0.0.1", relay.port), 10) as client:
                for question in (b"one", b"two and three"):
                    client.sendall(question)
                    assert client.recv(100) == question
            thread.join(10)
        assert len(relay.round_trips) == 2


def test_rows_of_a_part_take_the_place_of_those_that_the_page_has() -> None:
    page = "# Words\n\n" + as_markdown([Row("a", "", "1"), Row("b", "", "2")])
    found = put_into(page, [Row("b", "", "3"), Row("c", "", "4")])
    assert found == "# Words\n\n" + as_markdown([Row("a", "", "1"), Row("b", "", "3"), Row("c", "", "4")])


def results(web_us: float) -> Results:
    return Results((Round(100, 100, 0, 1.0, 1.0, 2.0, 3.0, {"web": web_us}),))


@pytest.mark.parametrize(
    ("path", "on", "off"), [(PROFILE, 1.6, None), (DECK, 2.2, 3.5), (LIKE, 2.8, 5.0)], ids=["profile", "deck", "like"]
)
def test_each_way_is_judged_by_its_own_target(path: str, on: float, off: float | None) -> None:
    found = {"on": results(100 * on + 1), "off": results(100 * (off or 9) - 1)}
    dear, cheap = against_bare_view("GET", path, results(100), found)
    assert (dear.what, dear.target, dear.is_reached) == (f"GET {path}, FAST_PATHS=on", f"<= {on} x", False)
    assert cheap.what == f"GET {path}, FAST_PATHS=off"
    assert (cheap.target, cheap.is_reached) == (("", None) if off is None else (f"<= {off} x", True))
