"""A whole Swiper on one database and one Redis: gunicorn instances, nginx before them, Celery worker and beat."""

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import flask_migrate
from flask import Flask
from sqlalchemy import select

from chaos.burst import Answer, RequestSpec, burst
from chaos.members import Member, open_sessions, put_on_level
from chaos.redis_groups import RedisGroup
from chaos.servers import RedisServer
from config.settings import ROOT, Settings
from swiper import create_app
from swiper.errors import UnavailableError
from swiper.extensions import db
from swiper.profiles.models import User
from swiper.robots.seeding import seed_robots
from swiper.vip.levels import seed_levels
from tests.front import render, start_nginx
from tests.processes import BIN, Program, answers_at, environment_of, free_port, gunicorn

# Limits that stand in the way of experiments about something else.
GENEROUS = {
    "sms_per_ip_per_day": 1_000_000,
    "sms_per_net24_per_day": 1_000_000,
    "sms_global_per_day": 10_000_000,
    "sms_reserve_percent": 0,
    "sms_brake_percent": 0,
    "proof_of_work_percent": 100,
    "login_per_ip_per_minute": 1_000_000,
}
SECRET = "chaos-" * 8


class Site:
    """A context manager that starts everything and ends it by id.

    `changes` are fields of `Settings`; `redis` is started and ended like the site's own. `app` is an application in
    this process on the same data, to prepare and look.
    """

    def __init__(
        self,
        folder: Path,
        database_url: str,
        *,
        instances: int = 2,
        has_nginx: bool = True,
        has_celery: bool = True,
        env: dict[str, str] | None = None,
        redis: RedisServer | RedisGroup | None = None,
        **changes: Any,
    ) -> None:
        folder.mkdir()
        # nginx's worker and, with mounted folders, others than root must get through.
        folder.chmod(0o755)
        self.folder = folder
        # Experiments that kill or freeze it have a site with one server.
        self.redis: Any = redis or RedisServer(folder / "redis")
        ours: dict[str, Any] = {
            "instance": folder / "instance",
            "database_url": database_url,
            "redis_url": self.redis.url,
            "celery_broker_url": "",
            "celery_result_backend": "",
            "secret_key": SECRET,
            "web_concurrency": 1,
            "robots_answer_percent": 0,
            "robots_per_city": 0,
            "log_level": "ERROR",
        }
        self.settings = Settings(_env_file=None, **ours | GENEROUS | changes)
        self.changes = {name.upper(): _as_variable(value) for name, value in (GENEROUS | changes).items()} | (env or {})
        self.ports = [free_port() for _ in range(instances)]
        self.port = free_port() if has_nginx else self.ports[0]
        self.has_nginx, self.has_celery = has_nginx, has_celery
        self.instances: dict[int, Program] = {}
        self.nginx: Program | None = None
        self.worker: Program | None = None
        self.beat: Program | None = None
        self.stack = ExitStack()
        self.app: Flask = create_app(self.settings)

    @property
    def base(self) -> str:
        """Where users come in."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def instance_bases(self) -> list[str]:
        """The addresses of the instances themselves, past nginx."""
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    @property
    def env(self) -> dict[str, str]:
        """The environment of each of the site's processes."""
        ours = {
            "TRUSTED_PROXIES": int(self.has_nginx),
            "LOG_LEVEL": "WARNING",
            "NO_PROXY": "*",
            "LOCAL_REFRESH_SECONDS": 1,
        }
        return environment_of(self.settings, **ours | self.changes)

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            # What has started before the part that failed would stay for ever.
            self.__exit__(None, None, None)
            raise
        return self

    def _start(self) -> None:
        self.stack.callback(self._dispose)
        self.stack.enter_context(self.redis)
        self.prepare_database()
        for port in self.ports:
            self.start_instance(port)
        if self.has_celery:
            self.start_worker()
            self.start_beat()
        if self.has_nginx:
            upstreams = [self.ports[0], self.ports[-1]]
            text = render(self.folder, self.settings.media_dir, self.port, upstreams, connections=4096)
            self.nginx = self.stack.enter_context(start_nginx(self.folder, text))
        for port in self.ports:
            self.wait_for_instance(port)
        if self.nginx:
            self.nginx.wait_for(lambda: answers_at(self.base), "nginx does not serve")
        if self.worker:
            self.worker.wait_for_line("ready.")

    def prepare_database(self) -> None:
        """Give the empty database a schema and the VIP levels."""
        with self.app.app_context():
            flask_migrate.upgrade(str(ROOT / "migrations"))
            seed_levels()
            db.session.remove()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Asked all together, so that none waits for the others' end.
        for program in [*self.instances.values(), self.worker, self.beat]:
            if program and program.process.poll() is None:
                program.send(signal.SIGCONT)
                program.send(signal.SIGTERM)
        self.stack.close()

    def _dispose(self) -> None:
        self.leave_connections()
        self.app.extensions["redis"].close()

    def leave_connections(self) -> None:
        """Let the application in this process connect to its databases anew, such as after their failover."""
        with self.app.app_context():
            db.session.remove()
            for engine in db.engines.values():
                engine.dispose()

    def start_instance(self, port: int) -> None:
        """Start the instance of a port, for the first time or anew."""
        program = gunicorn(self.env, port, self.folder / f"gunicorn-{port}.log")
        self.instances[port] = self.stack.enter_context(program)

    def wait_for_instance(self, port: int) -> None:
        """Return when it serves."""
        self.instances[port].wait_for(lambda: answers_at(f"http://127.0.0.1:{port}"), "the instance does not serve")

    def start_worker(self) -> None:
        """Start a Celery worker with eight threads; a former one is left to its fate."""
        command = (BIN / "celery", "-A", "celery_worker", "worker", "-P", "threads", "-c", "8", "--loglevel", "info")
        log = self.folder / f"celery-{free_port()}.log"
        self.worker = self.stack.enter_context(
            Program((*command, "--without-gossip", "--without-mingle"), self.env | {"LOG_LEVEL": "INFO"}, log)
        )

    def kill_worker(self) -> None:
        """SIGKILL to the worker and all of its children, and a new one at once."""
        assert self.worker is not None, "this site has no worker"
        self.worker.kill()
        self.start_worker()

    def start_beat(self) -> None:
        """Start Celery's clock."""
        command = (BIN / "celery", "-A", "celery_worker", "beat", "--loglevel", "warning")
        self.beat = self.stack.enter_context(Program(command, self.env, self.folder / "beat.log"))

    def fire(self, *specs: RequestSpec, at_once: int | None = None) -> list[Answer]:
        """Requests through the front door, see `burst`."""
        return burst(self.base, specs, at_once)

    def ask(self, spec: RequestSpec) -> Answer:
        """One request through the front door."""
        return self.fire(spec)[0]

    def prepare(self, *specs: RequestSpec, at_once: int | None = None) -> None:
        """What an experiment begins with; a request that was answered 503, and so has changed nothing, is sent again.

        Raises AssertionError where one is answered anything else than 0 in the end.
        """
        left = list(specs)
        for _ in range(5):
            answers = self.fire(*left, at_once=at_once) if left else []
            codes = {answer.code for answer in answers}
            assert codes <= {0, UnavailableError.code}, f"codes before the experiment: {codes}"
            left = [spec for spec, answer in zip(left, answers, strict=True) if answer.code]
        assert not left, f"{len(left)} requests before the experiment were answered 503"

    @contextmanager
    def looking(self) -> Iterator[Any]:
        """A database session that sees what is committed now."""
        with self.app.app_context():
            db.session.rollback()
            yield db.session
            db.session.remove()

    def add_members(self, count: int, vip: int = 0) -> list[Member]:
        """New users with complete profiles and open sessions, on VIP level `vip`."""
        with self.looking() as session:
            known = set(session.scalars(select(User.id)))
            seed_robots(count)
            fresh = [uid for uid in session.scalars(select(User.id)) if uid not in known]
            put_on_level(fresh, vip)
        return self.open_sessions(fresh)

    def open_sessions(self, uids: list[int]) -> list[Member]:
        """Log users in without the way by SMS."""
        return open_sessions(self.app, uids)

    def sent_codes(self) -> list[tuple[str, str]]:
        """`(phone, code)` of what the console provider has sent, the first first."""
        path = self.settings.instance / "sms-outbox.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(row["phone"], row["code"]) for row in map(json.loads, lines)]

    def memory_mb(self) -> float:
        """Resident memory of all instances, in MB."""
        workers = [worker for program in self.instances.values() for worker in program.children()]
        return float(sum(worker.memory_info().rss for worker in workers)) / 2**20


def _as_variable(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
