"""The frame of `make engines`: the list of engines, what becomes of one that fails or is not here, and the page."""

import re
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from chaos.burst import Answer, RequestSpec
from chaos.engines import __main__ as command
from chaos.engines.failover import Failover
from chaos.engines.journey import Journey
from chaos.engines.registry import Engine, NotHereError, all_engines
from chaos.engines.trial import Trial
from chaos.lab import Lab
from chaos.report import Finding
from config.settings import ROOT

GOOD = Finding("couples, X", "10 couples", "all", "all", True)
FAILOVER = Failover("primary killed", 2.44, 5.0, 900, 20, (), 1_302, 0, 0)


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(is_short=True) as made:
        yield made


def trial_of(lab: Lab, try_out: Any) -> Trial:
    return command._try_out(Engine("x", "X", try_out), lab)


def test_every_engine_is_on_the_list_once_and_names_what_debian_brings() -> None:
    engines = all_engines()
    assert {"sqlite", "postgres", "postgres_distributed", "mariadb"} <= {engine.name for engine in engines}
    for field in ("name", "title"):
        values = [getattr(engine, field) for engine in engines]
        assert len(set(values)) == len(values)
    for engine in engines:
        assert engine.try_out.__doc__, engine.name
        assert all(engine.needs.values()), engine.name


def test_ci_installs_what_each_engine_needs() -> None:
    script = (ROOT / ".ci/run").read_text()
    wanted = {package for engine in all_engines() for package in engine.needs.values()}
    assert {package for package in wanted if not re.search(rf"[:(]{package}\b", script)} == set()


def test_what_an_engine_needs_is_looked_for_by_program_and_by_file() -> None:
    needs = {"sh": "dash", "no-such-program": "some-package", "/etc/pass*": "base-passwd", "/no/such.so": "other"}
    assert Engine("x", "X", print, needs).missing_packages() == ["some-package", "other"]


def test_a_missing_package_stops_the_run_before_it_begins(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "all_engines", lambda: [Engine("x", "X", print, {"no-such-program": "some-package"})])
    monkeypatch.setattr(command, "missing_programs", list)
    monkeypatch.setattr(sys, "argv", ["engines", "--short"])
    assert command.main() == 2
    assert "not installed: some-package" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "wanted"), [(["--short"], "one"), ([], "one, two"), (["--short", "two"], "two")])
def test_the_short_form_leaves_out_what_is_only_for_the_long_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], wanted: str
) -> None:
    engines = [Engine(name, name, print, {name: name}, in_short=name == "one") for name in ("one", "two")]
    monkeypatch.setattr(command, "all_engines", lambda: engines)
    monkeypatch.setattr(command, "missing_programs", list)
    monkeypatch.setattr(sys, "argv", ["engines", *arguments])
    assert command.main() == 2
    assert capsys.readouterr().err == f"not installed: {wanted}\n"


def test_an_unknown_name_is_refused_with_the_names_that_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["engines", "postgres", "oracle"])
    assert command.main() == 2
    assert "mariadb" in capsys.readouterr().err


def test_an_engine_that_breaks_off_has_failed_and_keeps_what_was_found(lab: Lab) -> None:
    def try_out(trial: Trial) -> None:
        trial.races.append(GOOD)
        raise ConnectionError("no\nserver")

    trial = trial_of(lab, try_out)
    assert (trial.passed, trial.verdict) == (False, "FAIL")
    assert [finding.measured for finding in trial.findings] == ["all", "broke off: ConnectionError: no server"]


def test_an_engine_that_is_not_here_has_not_failed_and_says_why(lab: Lab) -> None:
    def try_out(trial: Trial) -> None:
        raise NotHereError("Debian 12 has no package of it")

    trial = trial_of(lab, try_out)
    assert (trial.passed, trial.verdict) == (True, "not here")
    assert "not here: Debian 12 has no package of it" in trial.cells


def test_the_page_has_the_head_both_tables_and_the_figures(lab: Lab) -> None:
    def try_out(trial: Trial) -> None:
        trial.version = "1.2"
        trial.races.append(GOOD)
        trial.failovers.append(FAILOVER)

    page = command.page_of([trial_of(lab, try_out)], 125.0)
    assert "(2 minutes" in page
    assert "| X 1.2 |  | 1 of 1 | primary killed: 2.4 s | 0 of 1,302 |  | pass |" in page
    assert "| couples, X |" in page
    assert "| primary killed, X |" in page


@pytest.mark.parametrize("change", [{"seconds": 5.1}, {"lost": 1}, {"torn": 1}, {"wrong": ("500",)}])
def test_a_failover_that_is_late_loses_or_answers_wrongly_has_failed(change: dict[str, Any]) -> None:
    assert FAILOVER.finding("X").passed
    assert not Failover(**vars(FAILOVER) | change).finding("X").passed


def test_a_journey_notes_each_step_that_fails_and_goes_on() -> None:
    def ask(spec: RequestSpec) -> Answer:
        body = b'{"code": 0, "data": [0, 1, 2, 3]}' if spec.path == "/api/vip/levels" else b"<html>"
        return Answer(200 if body[:1] == b"{" else 500, {}, body, 0.0)

    site: Any = SimpleNamespace(ask=ask)
    journey = Journey(site)
    journey.steps = (journey.see_levels, journey.log_in, journey.see_deck)
    journey.code = "123456"
    journey.take_steps()
    assert journey.passed == 1
    assert [fault.partition(":")[0] for fault in journey.faults] == ["log_in", "see_deck"]
    assert not journey.finding("X").passed
