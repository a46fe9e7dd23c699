"""A measured site: a database, Redis and gunicorn at production's default settings, with people in it."""

import json
import random
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import flask_migrate
from flask import Flask
from sqlalchemy import delete, select
from sqlalchemy.engine import make_url

from bench import data
from bench.callers import Caller, disposing, log_in, pair_up
from bench.extent import Extent
from bench.load import Contender, Results, Source, compare
from bench.production import WORKERS, production_environment, production_settings
from bench.relay import CountingRelay
from chaos.burst import RequestSpec, burst
from chaos.providers import AliyunGateway, Gateway, RonglianGateway
from chaos.servers import DatabaseServer, RedisServer
from config.settings import ROOT
from swiper import create_app
from swiper.cache.models import Invalidation
from swiper.db.transactions import transactional
from swiper.extensions import db
from swiper.profiles.models import User
from swiper.vip.levels import seed_levels
from tests.processes import BIN, Program, answers_at, free_port, gunicorn

DATABASE = "swiper"
TOGETHER = 50
# Gateways answer at once unless a measurement tells them to hang.
LATE_SECONDS = 5.0
# Headers that gunicorn writes by itself.
GUNICORNS_OWN = frozenset({"server", "date", "connection"})


@dataclass(frozen=True)
class Bare:
    """The two yardsticks for one of Swiper's answers."""

    wsgi: Contender
    flask: Contender


@dataclass(frozen=True)
class Counted:
    """An instance with one worker that reaches its servers through relays."""

    base: str
    database: CountingRelay
    redis: CountingRelay


@transactional
def _drop_invalidations() -> None:
    db.session.execute(delete(Invalidation))


class Site:
    """A context manager; at its end no process, port or file of it is left."""

    def __init__(self, extent: Extent, server_type: type[DatabaseServer] | None) -> None:
        """A site of the last size of `extent`, on a database server of its own; None stands for SQLite."""
        *_, self.size = extent.sizes
        self.extent = extent
        self.server_type = server_type
        self.rounds, self.seconds = extent.rounds, extent.seconds
        self.stack = ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="swiper-bench-"))
        self.stack.callback(shutil.rmtree, self.folder)
        # The database servers' own users must get through.
        self.folder.chmod(0o755)
        self.known: dict[int, Caller] = {}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.close()

    def start(self) -> None:
        """Start the servers and the web workers on an empty database."""
        self.server = self.stack.enter_context(self.server_type(self.folder / "server")) if self.server_type else None
        self.redis = self.stack.enter_context(RedisServer(self.folder / "redis"))
        self.gateways: tuple[Gateway, ...] = (AliyunGateway(LATE_SECONDS), RonglianGateway(LATE_SECONDS))
        for gateway in self.gateways:
            self.stack.enter_context(gateway)
        file = f"sqlite:///{self.folder / 'swiper.db'}"
        self.database_url = self.server.create_database(DATABASE) if self.server else file
        self.settings = production_settings(self.folder, self.database_url, self.redis.url, self.gateways)
        self.env = production_environment(self.settings)
        self.app: Flask = create_app(self.settings)
        self.stack.enter_context(disposing(self.app))
        with self.app.app_context():
            flask_migrate.upgrade(str(ROOT / "migrations"))
            seed_levels()
        self.web, self.base = self.stack.enter_context(self.instance())

    @contextmanager
    def instance(self, **env: str) -> Iterator[tuple[Program, str]]:
        """A gunicorn with Swiper, and its address; `env` is beside the site's own environment."""
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        with gunicorn(self.env | env, port, self.folder / f"gunicorn-{port}.log") as program:
            program.wait_for(lambda: answers_at(base), "Swiper does not serve")
            yield program, base

    @contextmanager
    def counted(self) -> Iterator[Counted]:
        """An instance whose round trips are counted. Not for SQLite, which has no wire."""
        assert self.server is not None
        with CountingRelay(self.server.port) as database, CountingRelay(self.redis.port) as redis:
            urls = {
                "DATABASE_URL": make_url(self.settings.database_url).set(port=database.port),
                "REDIS_URL": make_url(self.redis.url).set(port=redis.port),
            }
            env = {name: url.render_as_string(hide_password=False) for name, url in urls.items()}
            env["CELERY_BROKER_URL"] = env["CELERY_RESULT_BACKEND"] = env["REDIS_URL"]
            with self.instance(WEB_CONCURRENCY="1", **env) as (_, base):
                yield Counted(base, database, redis)

    @contextmanager
    def bare(self, line: str, source: Source) -> Iterator[Bare]:
        """The yardsticks that send what Swiper answers to the request `line`, to the requests of `source`."""
        path = self.folder / f"answer-{secrets.token_hex(4)}"
        path.write_text(json.dumps(self.sample(line)))
        with ExitStack() as stack:
            wsgi, flask = [self._start_bare(stack, name, path) for name in ("wsgi_app", "flask_app")]
            for _, program in (wsgi, flask):
                program.wait_for(lambda: program.output.count("worker serves on") == WORKERS, "no yardstick")  # noqa: B023
            yield Bare(*[Contender(base, {"web": program.pid}, source) for base, program in (wsgi, flask)])

    def _start_bare(self, stack: ExitStack, name: str, path: Path) -> tuple[str, Program]:
        port = free_port()
        command = (BIN / "gunicorn", "-c", ROOT / "config/gunicorn.py", f"bench.bare:{name}")
        env = self.env | {"PORT": str(port), "BENCH_ANSWER": str(path)}
        program = stack.enter_context(Program(command, env, self.folder / f"{name}-{port}.log"))
        return f"http://127.0.0.1:{port}", program

    def sample(self, line: str) -> dict[str, Any]:
        """Path, headers and body of Swiper's answer to a line of load."""
        method, target, body, *rest = line.split("\t")
        connection = HTTPConnection(self.base.removeprefix("http://"))
        connection.request(method, target, body or None, dict(each.split(": ", 1) for each in rest))
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        assert response.status == 200, f"{line} is answered {response.status} {text[:200]}"
        headers = [pair for pair in response.getheaders() if pair[0].lower() not in GUNICORNS_OWN]
        return {"path": target.partition("?")[0], "headers": headers, "body": text}

    def swiper(self, source: Source, *, is_fresh: bool = False, rate: float = 5_000.0) -> Contender:
        """Swiper itself under the requests of `source`."""
        return Contender(self.base, self.pids, source, is_fresh, rate)

    @property
    def pids(self) -> dict[str, int]:
        """Whose CPU counts."""
        servers = {"redis": self.redis, "database": self.server}
        running = {name: server.program for name, server in servers.items() if server}
        return {"web": self.web.pid} | {name: program.pid for name, program in running.items() if program}

    def compare(self, *contenders: Contender) -> list[Results]:
        """See `bench.load.compare`."""
        return compare(self.folder, self.rounds, self.seconds, *contenders)

    @cached_property
    def filled(self) -> data.Cast:
        """Who is in the database, once it is filled."""
        with self.app.app_context():
            cast = data.fill_here(self.size.people, self.size.swipes)
            db.session.remove()
        return cast

    def callers(self, uids: Iterable[int] | None = None) -> list[Caller]:
        """`uids`, by default those who make most of the requests, logged in and on the highest VIP level."""
        chosen = self.usual_callers if uids is None else list(uids)
        with self.app.app_context():
            fresh = log_in(self.app, [uid for uid in chosen if uid not in self.known])
            if fresh:
                # Beat does so seconds later; until then each request would read its caller's account from the database.
                _drop_invalidations()
                db.session.remove()
                time.sleep(2 * self.settings.local_refresh_seconds)
        self.known |= {caller.id: caller for caller in fresh}
        # Their accounts are in the cache from then on, as those of users who have just logged in.
        specs = [RequestSpec("GET", "/api/user/profile", session_id=each.session_id) for each in fresh]
        answers = burst(self.base, specs, TOGETHER)
        assert {answer.status for answer in answers} <= {200}
        return [self.known[uid] for uid in chosen]

    @cached_property
    def everybody(self) -> list[int]:
        """All ids, in a mixed order."""
        with self.app.app_context():
            mixed = list(db.session.scalars(select(User.id).order_by(User.id)))
            db.session.remove()
        random.Random(1).shuffle(mixed)
        return mixed

    @cached_property
    def usual_callers(self) -> list[int]:
        """Ids of those who have swiped nobody, and of people like most."""
        idle = self.filled.idle[: self.extent.callers]
        return [*idle, *self.ordinary[: self.extent.callers - len(idle)]]

    @cached_property
    def fresh_callers(self) -> list[int]:
        """Ids of as many people like most, in whose name no measurement has asked for anything before."""
        usual = set(self.usual_callers)
        return [uid for uid in reversed(self.ordinary) if uid not in usual][: self.extent.callers]

    @cached_property
    def ordinary(self) -> list[int]:
        """Ids of people like most, in a mixed order."""
        special = {*self.filled.idle, *self.filled.busy, *self.filled.liked}
        return [uid for uid in self.everybody if uid not in special]

    @cached_property
    def people(self) -> list[int]:
        """The ids of all others, in a mixed order."""
        callers = set(self.usual_callers)
        return [uid for uid in self.everybody if uid not in callers]

    @cached_property
    def fresh_pairs(self) -> Iterator[tuple[Caller, int]]:
        """Callers in turn, each with somebody whom they have not swiped: each pair once, whoever takes it."""
        return pair_up(self.callers(), self.people)
