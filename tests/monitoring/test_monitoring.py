"""Dashboard and alerts: each asks for metrics and labels that there are, and each alert says what to do."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import Client

from config.settings import ROOT
from swiper.admin.exporter import metrics_app
from swiper.admin.metrics_buffer import Count, MetricsBuffer
from swiper.tallies import Tally, tallies
from swiper.tasks.celery import QUEUE
from swiper.tasks.heartbeat import Part, write_heartbeat, write_queue_heartbeat

FOLDER = ROOT / "deploy/monitoring"
ALERTS = ("alerts.yml", "alerts_servers.yml")
# What a family has of each type beside its own name.
SUFFIXES = {
    "counter": ["_total"],
    "gauge": [""],
    "histogram": ["_bucket", "_count", "_sum"],
    "summary": ["_count", "_sum"],
}
# Prometheus' own, and those of the exporters that alerts_servers.yml names.
FOREIGN = {"up", "node", "pg", "mysql", "probe"}
# `name{matchers}[range]`; the parts of PromQL that are words as well are told by what follows them.
METRIC = re.compile(r"\b((?:swiper|node|pg|mysql|probe)_\w+|up)\b(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\bby \(([^)]*)\)")


def alerts_of(file: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / file).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
    return found


def expressions() -> Iterator[tuple[str, str]]:
    """Where an expression stands, and its text."""
    for file in ALERTS:
        for rule in alerts_of(file):
            yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


@pytest.fixture
def labels(app: Flask) -> dict[str, set[str]]:
    """By each name that /metrics tells, once everything has happened: the labels of its samples."""
    buffer: MetricsBuffer = app.extensions["metrics_buffer"]
    tallies[f"{Tally.SWEPT}sweep_codes:done"] += 1
    buffer.count(f"{Count.TASKS}bans.purge:success", f"{Count.TASK_MICROS}bans.purge")
    buffer.add_response(("GET", "/api/vip/me"), 0.01)
    buffer.flush()
    with app.app_context():
        write_heartbeat(Part.BEAT)
        write_queue_heartbeat(QUEUE, 1.0)
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(Client(metrics_app(app)).get("/metrics").text):
        for suffix in SUFFIXES[family.type]:
            found.setdefault(f"{family.name}{suffix}", set())
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_each_expression_asks_for_what_metrics_tells(labels: dict[str, set[str]]) -> None:
    asked = 0
    for place, expression in expressions():
        metrics = METRIC.findall(expression)
        assert metrics, place
        known: set[str] = set()
        for name, matchers in metrics:
            if name.partition("_")[0] in FOREIGN:
                continue
            assert name in labels, f"{place}: there is no {name}"
            known |= labels[name]
            for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers):
                assert label in labels[name], f"{place}: {name} has no label {label}"
        for label in ", ".join(GROUPING.findall(expression)).split(", "):
            assert not label or not known or label in known, f"{place}: no label {label}"
        asked += 1
    assert asked > 50


def test_each_family_is_on_the_dashboard(labels: dict[str, set[str]]) -> None:
    shown = {
        name for panel in panels() for target in panel.get("targets", []) for name, _ in METRIC.findall(target["expr"])
    }
    families = {name for name in labels if not name.endswith(("_count", "_sum"))}
    # A summary has no other parts, and the count of a histogram is that of the requests.
    families |= {"swiper_task_duration_seconds_sum", "swiper_pool_wait_seconds_sum"}
    assert families - shown == set()


def test_panels_have_places_of_their_own_and_a_source_that_can_be_chosen() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {(place["x"] + column, place["y"] + line) for column in range(place["w"]) for line in range(place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == "${datasource}"
    assert len({panel["id"] for panel in panels()}) == len(panels())


@pytest.mark.parametrize("file", ALERTS)
def test_each_alert_says_what_is_wrong_and_what_to_do(file: str) -> None:
    for rule in alerts_of(file):
        assert rule["labels"]["severity"] in ("page", "ticket")
        for text in (rule["annotations"]["summary"], rule["annotations"]["action"]):
            assert text.endswith("."), rule["alert"]
            assert len(text.split()) > 4, rule["alert"]


@pytest.mark.parametrize("file", ALERTS)
def test_each_alert_has_a_test_that_it_comes(file: str) -> None:
    checked = (Path(__file__).parent / file).read_text()
    for rule in alerts_of(file):
        assert f'alertname="{rule["alert"]}"' in checked


@pytest.mark.services
@pytest.mark.parametrize("file", ALERTS)
def test_promtool_accepts_the_rules(file: str) -> None:
    run_promtool("check", "rules", FOLDER / file)


@pytest.mark.services
@pytest.mark.parametrize("file", ALERTS)
def test_the_alerts_come_when_they_should_and_not_before(file: str) -> None:
    run_promtool("test", "rules", Path(__file__).parent / file)


def run_promtool(*arguments: str | Path) -> None:
    told = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
