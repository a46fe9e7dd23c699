"""The property test of tests/social/test_model.py: the service against a model of itself, step by step."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from chaos.lab import MARIADB, POSTGRES, SQLITE, Lab
from chaos.report import Finding
from chaos.servers import RedisServer
from config.settings import ROOT
from deploy.processes import wait_until
from tests.processes import Program, environment

TEST = ROOT / "tests/social/test_model.py"
SHOWN_LINES = 40
LONGEST_SECONDS = 25 * 60


def steps_differ_nowhere_from_the_model(lab: Lab) -> Iterator[Finding]:
    """On all databases at the same time; the embedded default takes most of the steps."""
    wanted = {SQLITE: lab.count(10_000, 200)}
    if not lab.is_short:
        wanted |= {POSTGRES: 2_000, MARIADB: 2_000}
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(lab.folder / "redis-of-models")) if len(wanted) > 1 else None
        runs = {}
        for number, (database, steps) in enumerate(wanted.items()):
            runs[database] = _start(lab, database, steps, redis, number)
            # An embedded Redis below it would outlive a mere SIGTERM.
            stack.callback(runs[database].kill)
        for database, run in runs.items():
            wait_until(lambda run=run: run.process.poll() is not None, LONGEST_SECONDS, "the test does not end")
            yield _judge(database, wanted[database], run)


def _start(lab: Lab, database: str, steps: int, redis: RedisServer | None, number: int) -> Program:
    folder = lab.folder / f"model-{number}"
    folder.mkdir()
    env = environment(folder / "instance", MODEL_STEPS=steps, MODEL_REPORT=folder / "report.json")
    if redis:
        env["TEST_REDIS_URL"] = f"{redis.url.rpartition('/')[0]}/{number}"
    if database != SQLITE:
        env["TEST_DATABASE"] = {POSTGRES: "postgres", MARIADB: "mariadb"}[database]
        env[f"TEST_{env['TEST_DATABASE'].upper()}_URL"] = lab.server(database).admin_url
    command = (sys.executable, "-m", "pytest", TEST, "-p", "no:cacheprovider", "-q", f"--basetemp={folder / 'temp'}")
    return Program(command, env, folder / "log")


def _judge(database: str, wanted: int, run: Program) -> Finding:
    report = run.log.with_name("report.json")
    told: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {"steps": 0, "answers": {}}
    steps, answers = told["steps"], told["answers"]
    is_passed = run.process.returncode == 0 and steps >= wanted
    if not is_passed:
        print("\n".join(f"     {line}" for line in run.output.splitlines()[-SHOWN_LINES:]))
    acts = ", ".join(sorted({kind.partition(" ")[0] for kind in answers}))
    return Finding(
        f"steps against a model, {database}",
        f"{wanted:,} steps of Hypothesis: swipes, rewinds, quotas, VIP changes, deletions; after each step tables, "
        "ranking and views are compared",
        "no difference",
        f"{steps:,} steps, {sum(answers.values()):,} answers of {len(answers)} kinds ({acts}), "
        + ("no difference" if is_passed else "a difference, or an end before"),
        is_passed,
    )
