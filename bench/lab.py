"""The measured site: PostgreSQL, Redis, gunicorn and nginx at production's default settings, with people in it."""

import json
import random
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import flask_migrate
import psycopg
from flask import Flask, Response, session
from flask.globals import request_ctx
from sqlalchemy import select
from sqlalchemy.engine import make_url

from bench import data
from bench.load import Contender, Figures, Source, compare
from bench.relay import CountingRelay
from bench.servers import LoggingPostgres
from chaos.burst import RequestSpec, burst
from chaos.providers import AliyunGateway, Gateway, RonglianGateway
from chaos.servers import RedisServer
from chaos.shop import NEEDED_BY_PROVIDERS
from config.settings import ROOT, Environment, Settings
from swiper import create_app
from swiper.auth import sessions
from swiper.extensions import db
from swiper.profiles.models import User
from swiper.social.ranking import rebuild_ranking
from swiper.vip.levels import seed_levels
from swiper.vip.memberships import grant
from tests.front import render, start_nginx
from tests.processes import BIN, Program, answers_at, environment_of, free_port, gunicorn

DATABASE = "swiper"
WORKERS = 2
TOGETHER = 50
TOP_LEVEL, MONTHS = 3, 12
# Gateways answer at once unless a measurement tells them to hang.
LATE_SECONDS = 5.0
# Headers that gunicorn writes by itself.
GUNICORNS_OWN = frozenset({"server", "date", "connection"})


@dataclass(frozen=True)
class Size:
    """How many are in a site."""

    people: int
    swipes: int


@dataclass(frozen=True)
class Extent:
    """How much is measured; the last of the `sizes` is that of the site itself, the others are smaller ones beside it.

    Each comparison has so many `rounds` of so many `seconds`; `many` requests show whether memory grows.
    """

    sizes: Sequence[Size]
    callers: int
    rounds: int
    seconds: int
    many: int


@dataclass(frozen=True)
class Caller:
    """A user with an open session, on the highest VIP level."""

    id: int
    sid: str


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


@contextmanager
def disposing(app: Flask) -> Iterator[None]:
    """Close the connections of an application in this process at the end."""
    try:
        yield
    finally:
        with app.app_context():
            db.session.remove()
            for engine in db.engines.values():
                engine.dispose()
        app.extensions["redis"].close()


def log_in(app: Flask, uids: Sequence[int]) -> list[Caller]:
    """Put users onto the highest VIP level and log them in as the login view does, but for the code."""
    interface: Any = app.session_interface
    callers = []
    for uid in uids:
        grant(uid, TOP_LEVEL, MONTHS)
        with app.test_request_context("/api/user/login", method="POST"):
            sessions.start_session(session, uid)
            own: Any = request_ctx.session
            interface.save_session(app, own, Response())
            callers.append(Caller(uid, own.sid))
        db.session.remove()
    return callers


class Lab:
    """A context manager; at its end no process, port or file of it is left."""

    def __init__(self, extent: Extent) -> None:
        *_, self.size = extent.sizes
        self.extent = extent
        self.rounds, self.seconds = extent.rounds, extent.seconds
        self.stack = ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="swiper-bench-"))
        self.stack.callback(shutil.rmtree, self.folder)
        # PostgreSQL's own user must get through.
        self.folder.chmod(0o755)
        self.known: dict[int, Caller] = {}
        # By "people" and "swipes" and the name of a request: how many there are, and microseconds of all servers.
        self.curves: dict[str, dict[str, list[tuple[int, float]]]] = {"people": {}, "swipes": {}}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.close()

    def _start(self) -> None:
        self.postgres = self.stack.enter_context(LoggingPostgres(self.folder / "postgres"))
        self.redis = self.stack.enter_context(RedisServer(self.folder / "redis"))
        self.gateways: tuple[Gateway, ...] = (AliyunGateway(LATE_SECONDS), RonglianGateway(LATE_SECONDS))
        for gateway in self.gateways:
            self.stack.enter_context(gateway)
        self.database_url = self.postgres.create_database(DATABASE)
        self.settings = self._settings()
        self.app: Flask = create_app(self.settings)
        self.stack.enter_context(disposing(self.app))
        with self.app.app_context():
            flask_migrate.upgrade(str(ROOT / "migrations"))
            seed_levels()
        self.web, self.base = self.stack.enter_context(self.instance())
        self.front = f"http://127.0.0.1:{free_port()}"
        port = int(self.front.rpartition(":")[2])
        own = int(self.base.rpartition(":")[2])
        text = render(self.folder, self.settings.media_dir, port, [own, own], connections=4096)
        self.nginx = self.stack.enter_context(start_nginx(self.folder, text))
        self.nginx.wait_for(lambda: answers_at(self.front), "nginx does not serve")

    def _settings(self) -> Settings:
        """Production's defaults; set is only what production refuses to start without, and fewer log lines of ours.

        Nobody uses the codes that are asked for here, so the brake and the proof of work are off.
        """
        aliyun, ronglian = self.gateways
        credentials: dict[str, Any] = dict.fromkeys(NEEDED_BY_PROVIDERS, "pretended")
        return Settings(
            _env_file=None,
            environment=Environment.PRODUCTION,
            instance=self.folder / "instance",
            secret_key=secrets.token_urlsafe(48),
            database_url=self.database_url,
            redis_url=self.redis.url,
            celery_broker_url="",
            celery_result_backend="",
            web_concurrency=WORKERS,
            trusted_proxies=1,
            payment_provider="none",
            sms_providers=[aliyun.name, ronglian.name],
            aliyun_sms_endpoint=aliyun.address,
            aliyun_sms_protocol="HTTP",
            ronglian_base_url=f"http://{ronglian.address}",
            sms_brake_percent=0,
            proof_of_work_percent=100,
            # Robots with a badge have one for decades, and the callers' levels come on top of that.
            membership_years_ahead=100,
            log_level="WARNING",
            **credentials,
        )

    @property
    def env(self) -> dict[str, str]:
        """The environment of each of the site's processes."""
        ours = {
            name.upper(): getattr(self.settings, name)
            for name in (
                *("web_concurrency", "trusted_proxies", "payment_provider", "aliyun_sms_endpoint"),
                *("aliyun_sms_protocol", "ronglian_base_url", "sms_brake_percent", "proof_of_work_percent"),
                *NEEDED_BY_PROVIDERS,
            )
        }
        defaults = dict.fromkeys(("LOCAL_REFRESH_SECONDS", "ROBOTS_ANSWER_PERCENT"), "")
        own = {"SWIPER_ENV": "production", "SMS_PROVIDERS": ",".join(self.settings.sms_providers), "NO_PROXY": "*"}
        return environment_of(self.settings, **ours, **defaults, **own)

    @contextmanager
    def instance(self, **env: str) -> Iterator[tuple[Program, str]]:
        """A gunicorn with Swiper, and its address; `env` is beside the site's own environment."""
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        with gunicorn(self.env | env, port, self.folder / f"gunicorn-{port}.log") as program:
            program.wait_for(lambda: answers_at(base), "Swiper does not serve")
            yield program, base

    @contextmanager
    def celery(self) -> Iterator[Program]:
        """A Celery worker as in production. Without beat: its turns would fall into some rounds and not into others."""
        command = (BIN / "celery", "-A", "celery_worker", "worker", "--loglevel", "info", "--without-gossip")
        with Program((*command, "--without-mingle"), self.env, self.folder / "celery.log") as program:
            program.wait_for_line("ready.")
            yield program

    @contextmanager
    def counted(self) -> Iterator[Counted]:
        """An instance whose round trips are counted."""
        with (
            CountingRelay(self.postgres.port) as database,
            CountingRelay(self.redis.port) as redis,
        ):
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
        assert self.redis.program is not None
        assert self.postgres.program is not None
        return {"web": self.web.pid, "redis": self.redis.program.pid, "database": self.postgres.program.pid}

    def compare(self, *contenders: Contender) -> list[Figures]:
        """See `bench.load.compare`."""
        return compare(self.folder, self.rounds, self.seconds, *contenders)

    @cached_property
    def filled(self) -> data.Filled:
        """What the database holds, once it is filled; then what autovacuum and beat do in time is done at once."""
        filled = data.fill(self.env, self.database_url, self.size.people, self.size.swipes)
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        with self.app.app_context():
            rebuild_ranking()
            db.session.remove()
        return filled

    @cached_property
    def smaller(self) -> list["Lab"]:
        """Sites with fewer people, beside this one on the same machine."""
        extents = [replace(self.extent, sizes=[size]) for size in self.extent.sizes[:-1]]
        return [self.stack.enter_context(Lab(extent)) for extent in extents]

    def callers(self, uids: Iterable[int] | None = None) -> list[Caller]:
        """`uids`, by default those who make most of the requests, logged in and on the highest VIP level."""
        chosen = self.usual_callers if uids is None else list(uids)
        with self.app.app_context():
            fresh = log_in(self.app, [uid for uid in chosen if uid not in self.known])
        if fresh:
            # Beat does so seconds later; until then each request would read its caller's account from the database.
            with psycopg.connect(self.database_url, autocommit=True) as connection:
                connection.execute("DELETE FROM invalidations")
            time.sleep(2 * self.settings.local_refresh_seconds)
        self.known |= {caller.id: caller for caller in fresh}
        # Their accounts are in the cache from then on, as those of users who have just logged in.
        specs = [RequestSpec("GET", "/api/user/profile", sid=each.sid) for each in fresh]
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
        return self._pair_up()

    def _pair_up(self) -> Iterator[tuple[Caller, int]]:
        callers, people = self.callers(), self.people
        stride = max(1, len(people) // len(callers))
        for step in range(len(people)):
            for place, caller in enumerate(callers):
                yield caller, people[(place * stride + step) % len(people)]

    def in_database(self, query: str, *values: object) -> list[Any]:
        """The rows of a query of our own."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(query, values).fetchall()
