"""What greenlets share; the checks themselves are in `tests/shared_connections.py`."""

import os
import sys
from pathlib import Path

import pytest

from config.settings import Settings
from tests.processes import Program, environment_of
from tests.shared_connections import checks_of

SERVERS = [("redis", False)]
if os.environ.get("TEST_DATABASE") == "postgres":
    SERVERS += [("postgres", False), ("postgres", True)]


@pytest.mark.parametrize(("server", "is_behind_pgbouncer"), SERVERS)
def test_a_connection_that_greenlets_share(
    server: str, is_behind_pgbouncer: bool, settings: Settings, tmp_path: Path
) -> None:
    command = (sys.executable, "-m", "gevent.monkey", "--module", "tests.shared_connections", server)
    arguments = (settings.database_url, settings.redis_url, str(is_behind_pgbouncer))
    with Program((*command, *arguments), environment_of(settings), tmp_path / "log") as program:
        program.wait()
    assert program.output.splitlines() == [check.__name__ for check in checks_of(server)], program.output
