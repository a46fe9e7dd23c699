"""Connections that greenlets share; the checks run in a process of their own (`shared_connections.py`)."""

import os
from pathlib import Path

import pytest

from config.settings import Settings
from tests.fastpath.shared_connections import checks_of
from tests.processes import patched_program

SERVERS = [("redis", False)]
if os.environ.get("TEST_DATABASE") == "postgres":
    SERVERS += [("postgres", False), ("postgres", True)]


@pytest.mark.parametrize(("server", "is_behind_pgbouncer"), SERVERS)
def test_a_connection_that_greenlets_share(
    server: str, is_behind_pgbouncer: bool, settings: Settings, tmp_path: Path
) -> None:
    arguments = (server, settings.database_url, settings.redis_url, is_behind_pgbouncer)
    with patched_program(settings, tmp_path / "log", "tests.fastpath.shared_connections", *arguments) as program:
        program.wait()
    assert program.output.splitlines() == [check.__name__ for check in checks_of(server)], program.output
