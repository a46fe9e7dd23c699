"""squawk finds no statement in the migrations that keeps others out of a table of PostgreSQL."""

import subprocess
from pathlib import Path

from config.settings import ROOT
from tests.processes import BIN, environment

# By rule that does not hold here: the reason.
EXCEPTIONS = {
    "ban-drop-constraint": "a check gives way to a wider one, or to NOT NULL, which it has prepared",
    "prefer-bigint-over-smallint": "small numbers, such as levels",
    "prefer-robust-stmts": "takes SET NOT NULL for one that cannot run twice; test_online_ddl.py interrupts the steps",
    "prefer-text-field": "a length is what MariaDB needs, and all databases hold it",
    "require-statement-timeout": "an index of a large table takes long, and keeps nobody out",
}
# Its tables are empty while it runs.
FIRST = "0001"


def lint(sql: str) -> subprocess.CompletedProcess[str]:
    excluded = [word for rule in EXCEPTIONS for word in ("--exclude", rule)]
    command = [BIN / "squawk", "--reporter", "gcc", *excluded]
    return subprocess.run(command, input=sql, capture_output=True, text=True, timeout=60)


def script(tmp_path: Path) -> str:
    """The migrations after the first one, as SQL; no server is asked for it."""
    env = environment(tmp_path, DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    command = [BIN / "flask", "db", "upgrade", f"{FIRST}:head", "--sql"]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120).stdout


def test_squawk_finds_nothing_in_the_migrations(tmp_path: Path) -> None:
    sql = script(tmp_path)
    assert "CREATE INDEX CONCURRENTLY" in sql
    # The drivers' form of a single one.
    assert "%%" not in sql
    found = lint(sql)
    assert found.returncode == 0, found.stdout + found.stderr


def test_squawk_finds_what_keeps_others_out() -> None:
    for sql, rule in (
        ("CREATE INDEX ix ON users (status);", "require-concurrent-index-creation"),
        ("ALTER TABLE users ADD CONSTRAINT ck CHECK (id > 0);", "constraint-missing-not-valid"),
        ("ALTER TABLE users ALTER COLUMN sex SET NOT NULL;", "adding-not-nullable-field"),
        ("ALTER TABLE users DROP COLUMN sex;", "ban-drop-column"),
    ):
        found = lint(f"SET lock_timeout = 500; {sql}")
        assert found.returncode == 1
        assert rule in found.stdout


def test_every_exception_is_of_use(tmp_path: Path) -> None:
    command = [BIN / "squawk", "--reporter", "gcc"]
    found = subprocess.run(command, input=script(tmp_path), capture_output=True, text=True, timeout=60)
    assert {rule for rule in EXCEPTIONS if f" {rule} " in found.stdout} == set(EXCEPTIONS)
