"""Two application machines that share no folder: a folder, an instance, a worker and a beat of its own for each."""

import http.server
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from chaos.burst import RequestSpec, burst
from chaos.engines.registry import engine
from chaos.engines.trial import SETTINGS, Trial
from chaos.lab import MARIADB, POSTGRES
from chaos.phones import ask_codes, new_phones
from chaos.requests import upload_avatar, upload_photo
from chaos.site import Site
from config.urls import with_driver
from deploy.prepare import FIRST_ROBOTS
from tests.processes import BIN, Program, gunicorn

BUCKET = "photos"
# Each beat starts the sweep of codes every 5 s.
BEAT_SECONDS, SHORT_BEAT_SECONDS = 25.0, 12.0
FAILOVER_SECONDS = 5.0
PREPARE_SECONDS = 240.0


class ObjectStoreServer:
    """A context manager: a bucket with the methods of S3 that pictures need, which keeps them in memory."""

    def __init__(self) -> None:
        files: dict[str, bytes] = {}
        self.files = files

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                files[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
                self._answer(HTTPStatus.OK)

            def do_GET(self) -> None:
                self._answer(HTTPStatus.OK if self.path in files else HTTPStatus.NOT_FOUND, files.get(self.path, b""))

            def do_DELETE(self) -> None:
                files.pop(self.path, None)
                self._answer(HTTPStatus.NO_CONTENT)

            def _answer(self, status: HTTPStatus, content: bytes = b"") -> None:
                self.send_response(status)
                self.send_header("Content-Type", "image/jpeg")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self) -> "ObjectStoreServer":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    @property
    def settings(self) -> dict[str, Any]:
        """What a site on this store has."""
        return {
            "several_machines": True,
            "storage": "s3",
            "s3_endpoint_url": self.base,
            "s3_base_url": f"{self.base}/{BUCKET}",
            "s3_bucket": BUCKET,
            "s3_access_key_id": "engines",
            "s3_secret_access_key": "engines",
        }


class TwoMachines(Site):
    """A site whose processes stand in two folders, with nginx before both; the application here has a third one."""

    def __init__(self, folder: Path, database_url: str, **changes: Any) -> None:
        super().__init__(folder, database_url, **changes)
        self.celery: dict[int, list[Program]] = {port: [] for port in self.ports}
        # All codes that were seen, and how many of them each machine has sent.
        self.codes: list[tuple[str, str]] = []
        self.codes_of = dict.fromkeys(self.ports, 0)

    def env_of(self, port: int) -> dict[str, str]:
        """The environment of one machine's processes."""
        return self.env | {"SWIPER_INSTANCE": str(self.folder / f"machine-{port}")}

    def start_instance(self, port: int) -> None:
        """See `Site`."""
        program = gunicorn(self.env_of(port), port, self.folder / f"gunicorn-{port}.log")
        self.instances[port] = self.stack.enter_context(program)

    def start_worker(self) -> None:
        """One on each machine."""
        options = ("worker", "-P", "threads", "-c", "8", "--loglevel", "info", "--without-gossip", "--without-mingle")
        for port in self.ports:
            self.worker = self._start_celery(port, "worker", *options, "--hostname", f"celery@machine-{port}")

    def start_beat(self) -> None:
        """One on each machine as well."""
        for port in self.ports:
            self.beat = self._start_celery(port, "beat", "beat", "--pidfile", "", "--loglevel", "info")

    def _start_celery(self, port: int, name: str, *words: str) -> Program:
        env = self.env_of(port) | {"LOG_LEVEL": "INFO"}
        command = (BIN / "celery", "-A", "celery_worker", *words)
        program = Program(command, env, self.folder / f"{name}-{port}.log")
        self.celery[port].append(self.stack.enter_context(program))
        return program

    def kill_machine(self, port: int) -> None:
        """SIGKILL to everything on it."""
        for program in (self.instances[port], *self.celery[port]):
            program.kill()

    def sent_codes(self) -> list[tuple[str, str]]:
        """See `Site`; each worker writes into the folder of its machine, and what is new comes behind what is known."""
        for port, known in self.codes_of.items():
            path = self.folder / f"machine-{port}/sms-outbox.jsonl"
            rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
            self.codes += [(row["phone"], row["code"]) for row in rows[known:]]
            self.codes_of[port] = len(rows)
        return list(self.codes)

    def pictures_on_disk(self) -> list[Path]:
        """Files of uploads in any folder."""
        return list(self.folder.glob("*/media/*/*"))


@engine("Two machines without a shared folder")
def two_machines(trial: Trial) -> None:
    """Everybody meets both machines in turn; two beats run; then one machine dies."""
    server = trial.lab.server(POSTGRES)
    trial.version = f"on {server.version}"
    for database in (POSTGRES, MARIADB):
        _prepare_at_once(trial, database)
    url = server.create_database("engine_two_machines")
    with ObjectStoreServer() as store:
        site = TwoMachines(trial.folder("site"), url, **SETTINGS | store.settings)
        with site:
            trial.travel(site)
            trial.race(site)
            _upload(trial, site, store)
            _two_beats(trial, site)
            trial.endure(site, "machine killed", lambda: site.kill_machine(site.ports[1]), FAILOVER_SECONDS)


def _prepare_at_once(trial: Trial, database: str) -> None:
    """`python -m deploy.prepare` on two machines, of one empty database."""
    url = trial.lab.server(database).create_database("engine_prepare")
    with _prepared_site(trial, url, database) as site, _started_twice(site) as programs:
        codes = [program.wait(PREPARE_SECONDS) for program in programs]
    engine_of_it = create_engine(with_driver(url), poolclass=NullPool)
    with engine_of_it.connect() as connection:
        people = connection.scalar(text("SELECT count(*) FROM users"))
        levels = connection.scalar(text("SELECT count(*) FROM vip_levels"))
    trial.check(
        f"prepared at once, {database}",
        "`python -m deploy.prepare` on both machines at the same moment, of an empty database",
        f"both succeed; {FIRST_ROBOTS} robots and 4 levels, as by one",
        f"exit codes {', '.join(map(str, codes))}; {people} robots, {levels} levels",
        codes == [0, 0] and (people, levels) == (FIRST_ROBOTS, 4),
    )


@contextmanager
def _prepared_site(trial: Trial, url: str, database: str) -> Iterator[Site]:
    """A site of which Redis alone runs."""
    site = Site(trial.folder(f"prepare-{database}"), url)
    with site.redis:
        yield site
        site.leave_connections()
        site.app.extensions["redis"].close()


@contextmanager
def _started_twice(site: Site) -> Iterator[list[Program]]:
    programs = [
        Program(
            (sys.executable, "-m", "deploy.prepare"),
            site.env | {"SWIPER_INSTANCE": str(site.folder / name)},
            site.folder / f"{name}.log",
        )
        for name in ("first", "second")
    ]
    try:
        yield programs
    finally:
        for program in programs:
            program.stop()


def _upload(trial: Trial, site: TwoMachines, store: ObjectStoreServer) -> None:
    """Pictures that one machine takes are shown at the other at once."""
    members = site.add_members(6 if trial.is_short else 30)
    seen = missing = local = 0
    for number, member in enumerate(members):
        taker, other = site.instance_bases[number % 2], site.instance_bases[1 - number % 2]
        burst(taker, [upload_avatar(member), upload_photo(member)])
        (answer,) = burst(other, [member.get("/api/user/profile")])
        urls = [answer.data["avatar"], *(photo["url"] for photo in answer.data["photos"])]
        for url in urls:
            local += not url.startswith(store.base)
            (picture,) = burst(store.base, [RequestSpec("GET", urlsplit(url).path)])
            seen += picture.status == HTTPStatus.OK
        missing += 2 - len(urls)
    on_disk = len(site.pictures_on_disk())
    trial.check(
        "uploads",
        f"{2 * len(members)} pictures, taken by both machines in turn, and looked for at the other one at once",
        "each is in the object store and shown from there; none lies on a disk",
        f"{seen} of {2 * len(members)} shown, {missing} missing, {local} shown from a machine, {on_disk} on a disk",
        seen == 2 * len(members) and not (missing or local or on_disk),
    )


def _two_beats(trial: Trial, site: TwoMachines) -> None:
    """Both clocks start everything, while people ask for codes."""
    phones, before = new_phones(6 if trial.is_short else 20), len(site.sent_codes())
    codes = ask_codes(site, phones)
    seconds = SHORT_BEAT_SECONDS if trial.is_short else BEAT_SECONDS
    time.sleep(seconds)
    sent = len(site.sent_codes()) - before
    programs = [program for both in site.celery.values() for program in both]
    faults = sum(program.output.count("Traceback") for program in programs)
    started = [beat.output.count("(auth.sweep_codes)") for _, beat in site.celery.values()]
    times = " and ".join(map(str, started))
    trial.check(
        "two beats",
        f"{len(codes)} codes are asked for; a beat on each machine starts all periodic work for {seconds:.0f} s",
        "each code is sent once; no task fails",
        f"{sent} messages for {len(codes)} codes; the beats started the sweep of codes {times} times; {faults} faults",
        sent == len(codes) and not faults and min(started) > 1,
    )
