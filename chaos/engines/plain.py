"""One database server and one Redis, as most sites have them."""

import sqlite3

from chaos.engines.registry import engine
from chaos.engines.trial import Trial
from chaos.lab import MARIADB, POSTGRES


def _try_server(trial: Trial, database: str) -> None:
    """Journey and races on one of the lab's servers."""
    server = trial.lab.server(database)
    trial.version = server.version
    _try_url(trial, server.create_database(f"engine_{trial.name}"))


def _try_url(trial: Trial, url: str) -> None:
    with trial.new_site(url) as site:
        trial.travel(site)
        trial.race(site)


@engine("SQLite, embedded")
def sqlite(trial: Trial) -> None:
    """The default of `make run`."""
    trial.version = sqlite3.sqlite_version
    _try_url(trial, f"sqlite:///{trial.folder('site') / 'swiper.db'}")


@engine("PostgreSQL")
def postgres(trial: Trial) -> None:
    """With the statements of a single node."""
    _try_server(trial, POSTGRES)


@engine("MariaDB")
def mariadb(trial: Trial) -> None:
    """As Debian ships it."""
    _try_server(trial, MARIADB)
