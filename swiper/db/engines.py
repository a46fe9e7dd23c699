"""Database engines that never block a gevent worker on SQLite's locks or on a server that does not answer."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import psycopg
from flask import Flask
from gevent.monkey import is_module_patched
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine

from swiper.db.comments import comment_statements
from swiper.db.driver_errors import handle_errors, leave_silent_server
from swiper.db.mariadb import TOGETHER
from swiper.db.replica_lag import Replica
from swiper.db.servers import LimitedPool, prepare_server
from swiper.db.sqlite import begin_by_purpose, prepare_sqlite
from swiper.db.statements import Database
from swiper.db.stock_postgres import StockPostgres
from swiper.db.time_limits import no_answer
from swiper.extensions import db
from swiper.fastpath import versions
from swiper.fastpath.postgres import MIN_CONNECTIONS, SharedPostgres
from swiper.fastpath.postgres_statements import StatementRunner

# SQLite's engines each keep as many as SQLAlchemy lets them open: opening one costs as much as several statements.
# Each has its own copy of the file's pages, and that of the one used last is in the processor's cache.
SQLITE_POOL = {"pool_size": 15, "max_overflow": 0, "pool_use_lifo": True}
# Within half a minute the kernel gives up a machine that has vanished, which a thread would wait for without an end.
DEAD_PEER = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}
# With a number, the key of a replica's engine.
REPLICA = "replica"
IN_MEMORY = ("sqlite://", "sqlite:///", "sqlite:///:memory:")


def engine_options(url: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of `create_engine` for the database at `url`."""
    # Parameters are personal data. The text of an error must not contain them.
    options: dict[str, Any] = {"hide_parameters": True}
    if url.startswith("sqlite"):
        # The driver would block all greenlets of the process while it waits. `sqlite.py` waits instead.
        options |= {"connect_args": {"timeout": 0, "isolation_level": None, "check_same_thread": False}}
        return options if url in IN_MEMORY else options | SQLITE_POOL
    connect_args: dict[str, Any] = {}
    if not is_module_patched("socket"):
        # In a gevent worker `time_limits.py` has the limit. The drivers would count the worker's own delays.
        connect_args["connect_timeout"] = config["DATABASE_CONNECT_TIMEOUT_SECONDS"]
    if url.startswith("postgresql"):
        connect_args |= {name: value for name, value in DEAD_PEER.items() if f"{name}=" not in url}
        if config["DATABASE_BEHIND_PGBOUNCER"]:
            connect_args["prepare_threshold"] = None
    left = config["DATABASE_POOL_SIZE"] + config["DATABASE_MAX_OVERFLOW"] - single_connections(url, config)
    size = max(1, min(config["DATABASE_POOL_SIZE"], left))
    if url.startswith("mysql"):
        # `servers.py` does so where a transaction is open.
        options["pool_reset_on_return"] = None
    return options | {
        "connect_args": connect_args,
        "poolclass": LimitedPool.of(url, config["DATABASE_STATEMENT_SECONDS"]),
        "isolation_level": "READ COMMITTED",
        "pool_recycle": 1800,
        "pool_size": size,
        "max_overflow": max(0, left - size),
        "pool_timeout": config["DATABASE_POOL_TIMEOUT_SECONDS"],
    }


def single_connections(url: str, config: Mapping[str, Any]) -> int:
    """Return how many of a process's connections are reserved for single statements."""
    size, overflow = config["DATABASE_POOL_SIZE"], config["DATABASE_MAX_OVERFLOW"]
    # Where few are allowed beside the pool, half of all.
    kept: int = min(size, max(overflow, (size + overflow) // 2))
    return max(MIN_CONNECTIONS if url.startswith("postgresql") else 1, kept)


def init_app(app: Flask) -> None:
    """Register the event handlers of every engine, including the engines of replicas."""
    with app.app_context():
        for key, engine in db.engines.items():
            config = for_replicas(app.config) if key else app.config
            if engine.dialect.name == "sqlite":
                prepare_sqlite(engine)
                begin_by_purpose(engine)
            else:
                prepare_server(engine, config["DATABASE_STATEMENT_SECONDS"], may_lag=key is not None)
            handle_errors(engine, engine)
            if app.config["SQL_COMMENTS"]:
                comment_statements(engine)
        primary = app.extensions["database"] = _database_of(db.engine, app.config)
        app.extensions["replicas"] = replicas = _replicas_of(primary, app.config)
        primary.is_alone = primary.is_single_node and not replicas


def for_replicas(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a replica's engine. When it does not answer, there is time left for the primary."""
    return {**config, "DATABASE_STATEMENT_SECONDS": config["DATABASE_STATEMENT_SECONDS"] / 2}


def replica_engines() -> list[tuple[str, Engine]]:
    """Return the engine of each replica by its name, in the order of DATABASE_REPLICA_URLS. Needs an app context."""
    numbers = sorted(int(key.removeprefix(REPLICA)) for key in db.engines if key and key.startswith(REPLICA))
    return [(f"replica {number + 1}", db.engines[f"{REPLICA}{number}"]) for number in numbers]


def _replicas_of(primary: Database, config: Mapping[str, Any]) -> list[Replica]:
    own = for_replicas(config)
    return [
        Replica(name, _database_of(engine, own, may_lag=True), primary, config["DATABASE_REPLICA_LAG_SECONDS"])
        for name, engine in replica_engines()
    ]


def _database_of(engine: Engine, config: Mapping[str, Any], *, may_lag: bool = False) -> Database:
    if str(engine.url) in IN_MEMORY:
        # Another engine would open another, empty database.
        return Database(engine, engine, None, is_single_node=False)
    kept = _kept_engine(engine, config, may_lag=may_lag)
    if engine.dialect.name == "postgresql":
        is_single_node = config["DATABASE_LAYOUT"] == "single"
        return Database(engine, None, _runner(engine, kept, config), is_single_node=is_single_node)
    event.listen(engine, "engine_disposed", lambda _: kept.dispose())
    return Database(engine, kept, None, is_single_node=False)


def _kept_engine(engine: Engine, config: Mapping[str, Any], *, may_lag: bool) -> Engine:
    """Return an engine with its own connections for single statements, each of which is a transaction by itself."""
    options = engine_options(str(engine.url), config)
    if engine.dialect.name == "mysql":
        options["connect_args"] |= TOGETHER
    if engine.dialect.name != "sqlite":
        options |= {"pool_size": single_connections(engine.url.drivername, config), "max_overflow": 0}
    # A ROLLBACK that ends nothing would be a round trip of its own.
    options |= {"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None, "skip_autocommit_rollback": True}
    kept = create_engine(engine.url, **options)
    if engine.dialect.name == "sqlite":
        prepare_sqlite(kept)
    else:
        prepare_server(kept, config["DATABASE_STATEMENT_SECONDS"], may_lag=may_lag)
    handle_errors(kept, engine)
    if config["SQL_COMMENTS"]:
        comment_statements(kept)
    return kept


def _runner(engine: Engine, kept: Engine, config: Mapping[str, Any]) -> StatementRunner:
    """Return the runner of single statements for a PostgreSQL server."""
    seconds, size = config["DATABASE_STATEMENT_SECONDS"], single_connections("postgresql", config)
    is_alone = not config["DATABASE_BEHIND_PGBOUNCER"]
    stock = StockPostgres(kept, engine, seconds=seconds, keeps_settings=is_alone)
    runner: StatementRunner = stock
    if versions.may_share(config["FAST_PATHS"] in ("on", "postgres"), versions.POSTGRES):
        runner = SharedPostgres(
            stock,
            engine,
            stock.connect,
            size=size,
            wait_seconds=config["DATABASE_POOL_TIMEOUT_SECONDS"],
            seconds=seconds,
            is_preparing=is_alone,
            no_answer=partial(_tell_silence, engine, seconds),
        )
    event.listen(engine, "engine_disposed", runner.close_idle)
    return runner


def _tell_silence(engine: Engine, seconds: float) -> Exception:
    leave_silent_server(engine)
    return no_answer(seconds, psycopg.OperationalError)
