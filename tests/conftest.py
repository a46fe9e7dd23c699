"""One application a test worker, on the embedded default or on the servers that TEST_DATABASE chooses."""

import os
import subprocess
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from celery import current_app
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from config.settings import ROOT, Environment, Settings
from deploy.embedded_redis import answers, redis_command
from deploy.processes import wait_until
from swiper import create_app
from swiper.cache.models import SHARED
from swiper.db.partitions import partition
from swiper.extensions import cache, db, limiter, redis
from swiper.vip.levels import seed_levels
from tests import services
from tests.factories import People, trust_the_cache
from tests.recorded_commands import Crossing, slots_recorded
from tests.recorded_statements import Broken, recording

# There is nothing in them to run on another database.
POSTGRES_ONLY = [
    "db/test_citus.py",
    "db/test_several_hosts.py",
    "db/test_standby.py",
    "db/single_node",
    "test_bench_data.py",
]
# Statements are recorded there, and the files of a request are counted there: each database has ways of its own.
SQLITE_ONLY = ["test_recorded_statements.py", "test_request_files.py"]
# Those of the shared connections ask for them by themselves; with TEST_FAST_PATHS=off all else goes the stock way.
collect_ignore = ["fastpath"] if os.environ.get("TEST_FAST_PATHS") == "off" else []
collect_ignore += [] if os.environ.get("TEST_DATABASE") == "postgres" else POSTGRES_ONLY
collect_ignore += SQLITE_ONLY if os.environ.get("TEST_DATABASE") else []
if os.environ.get("TEST_LAYOUT") == "distributed":
    # Its statements are those of one PostgreSQL server.
    collect_ignore += ["db/single_node"]
if find_spec("playwright") is None:
    # Only `make browser` installs it. With the folder ignored, that command finds no test and fails.
    collect_ignore += ["browser"]

# They use the application, yet what they prove holds on every database: parsing, pictures, pages, nginx.
ANY_DATABASE = ("fuzz/test_parsing.py", "http/test_languages.py", "storage/", "web/", "nginx/")
# They make databases of their own, on the server that TEST_DATABASE names.
OWN_DATABASES = ("db/", "test_bench_data.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Mark what `make test-services` need not repeat: tests that use no database, and those named above."""
    for item in items:
        place = item.path.relative_to(Path(__file__).parent).as_posix()
        if place.startswith(ANY_DATABASE) or not (
            "database_url" in item.fixturenames or place.startswith(OWN_DATABASES)
        ):
            item.add_marker("any_database")


@pytest.fixture(scope="session")
def worker_number() -> int:
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("instance")


@pytest.fixture(scope="session")
def redis_url(instance: Path, worker_number: int) -> Iterator[str]:
    """The embedded Redis of this worker, or a database of the given server."""
    if os.environ.get("TEST_DATABASE"):
        yield services.redis_url(worker_number)
        return
    socket = Settings(instance=instance, environment=Environment.TESTING).redis_socket
    server = subprocess.Popen(redis_command(socket, instance / "redis"), stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(socket), 20, "redis did not answer")
        yield f"unix://{socket}"
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture(scope="session")
def database_url(instance: Path) -> Iterator[str]:
    """SQLite in the instance folder, or a database of our own on the given server."""
    name = os.environ.get("TEST_DATABASE")
    if not name:
        yield f"sqlite:///{instance / 'swiper.db'}"
        return
    server, database = services.database_url(name), f"swiper_test_{os.getpid()}"
    url = services.recreate_database(server, database)
    yield url.render_as_string(hide_password=False)
    services.drop_database(server, database)


@pytest.fixture(scope="session")
def settings(instance: Path, redis_url: str, database_url: str) -> Settings:
    """What every test application starts from; `settings.model_copy(update=…)` makes a variant."""
    return Settings(
        _env_file=None,
        environment=Environment.TESTING,
        instance=instance,
        redis_url=redis_url,
        celery_broker_url="",
        celery_result_backend="",
        database_url=database_url,
        fast_paths=os.environ.get("TEST_FAST_PATHS", "on"),
        database_layout=os.environ.get("TEST_LAYOUT", "single"),
        local_refresh_seconds=0,
        robots_answer_percent=0,
        robots_per_city=0,
        # Tests that want the figures send them themselves.
        figures_flush_seconds=0,
        log_level="INFO",
    )


@pytest.fixture(scope="session")
def migrated_app(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    with app.app_context():
        flask_migrate.upgrade(str(ROOT / "migrations"))
        if parts := os.environ.get("TEST_PARTITIONS"):
            partition(db.engine, db.metadata, int(parts))
    yield app
    with app.app_context():
        for engine in db.engines.values():
            engine.dispose()


@pytest.fixture(autouse=True)
def broken_statements() -> Iterator[list[Broken]]:
    """Statements of the application that could not run on a cluster; any of them fails the test."""
    found: list[Broken] = []
    with recording(found):
        yield found
    wrong = set(map(str, found))
    assert not wrong, "docs/distribution.md has the rule that is broken:\n" + "\n".join(sorted(wrong))


@pytest.fixture(autouse=True)
def crossing_commands() -> Iterator[list[Crossing]]:
    """Commands of the application that Redis Cluster would refuse; any of them fails the test."""
    found: list[Crossing] = []
    with slots_recorded(found):
        yield found
    assert not found, "Redis Cluster refuses this:\n" + "\n".join(sorted(set(map(str, found))))


@pytest.fixture
def app(migrated_app: Flask) -> Iterator[Flask]:
    """The application with an empty database and Redis, and the VIP levels seeded."""
    wipe(migrated_app)
    yield migrated_app
    with migrated_app.app_context():
        db.session.remove()


def wipe(app: Flask) -> None:
    """Empty every table and the Redis database, forget what is cached, remove the outbox; then seed the levels."""
    with app.app_context():
        redis.client.flushdb()
        cache.clear()
        app.extensions.pop("local_copies", None)
        app.extensions.pop("ban_list", None)
        with db.engine.begin() as connection:
            for table in reversed(db.metadata.sorted_tables):
                connection.execute(table.delete())
        (app.config["INSTANCE"] / "sms-outbox.jsonl").unlink(missing_ok=True)
        seed_levels()
        trust_the_cache(app, SHARED)
        db.session.remove()


@pytest.fixture
def context(app: Flask) -> Iterator[None]:
    """An app context, for tests that call services."""
    with app.app_context():
        yield


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A stranger's client."""
    return app.test_client()


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    return app.test_cli_runner()


@pytest.fixture
def people(app: Flask) -> People:
    """Makes users and logs them in."""
    return People(app)


@pytest.fixture
def make_app(settings: Settings) -> Iterator[Callable[..., Flask]]:
    """Builds a further application with some settings changed, on the same database and Redis."""
    made: list[Flask] = []
    # These two belong to the process and follow the application that was made last.
    limits, celery = dict(vars(limiter)), current_app._get_current_object()

    def make(**changes: object) -> Flask:
        app = create_app(settings.model_copy(update=changes))
        made.append(app)
        return app

    yield make
    vars(limiter).update(limits)
    celery.set_default()
    celery.set_current()
    for app in made:
        with app.app_context():
            db.session.remove()
            for engine in db.engines.values():
                engine.dispose()


@pytest.fixture
def build(app: Flask, make_app: Callable[..., Flask], tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    """Builds an application on a cache of the given kind; its copies of other processes' values are looked up anew."""

    def make(kind: str, **changes: Any) -> Flask:
        return make_app(**{"cache_type": kind, "cache_dir": tmp_path / "cache"} | changes)

    yield make
    app.extensions["celery"].set_default()
