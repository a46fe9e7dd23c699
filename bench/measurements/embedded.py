"""The embedded default: `make run` with SQLite and its own Redis."""

import itertools
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import select

from bench.callers import Caller, disposing, log_in
from bench.lab import Lab
from bench.load import Contender, compare, get, post, repeated
from bench.measurements.reads import PROFILE, deck_lines
from bench.measurements.writes import LIKE
from bench.production import WORKERS
from bench.report import Row
from config.settings import Settings
from swiper import create_app
from swiper.extensions import db
from swiper.profiles.models import User
from swiper.vip.models import Membership
from tests.processes import Program, answers_at, environment, free_port

START_TARGET = 5.0


@dataclass(frozen=True)
class Running:
    """A running copy, and how long it took until it served."""

    base: str
    gunicorn: int
    seconds: float


def embedded(lab: Lab) -> Iterator[Row]:
    """The second start, and what the requests cost there."""
    instance = lab.folder / "embedded"
    with _run(instance) as first:
        pass
    with _run(instance) as second:
        words = f"serves after {second.seconds:.1f} s"
        yield Row(
            "make run, warm",
            f"the first time: {first.seconds:.1f} s",
            words,
            None,
            f"<= {START_TARGET:.0f} s",
            second.seconds <= START_TARGET,
        )
        yield _requests(lab, instance, second)


@contextmanager
def _run(instance: Path) -> Iterator[Running]:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    # What the tests change is left at its default.
    defaults = dict.fromkeys(("LOCAL_REFRESH_SECONDS", "ROBOTS_ANSWER_PERCENT", "ROBOTS_PER_CITY"), "")
    env = environment(instance, PORT=port, WEB_CONCURRENCY=WORKERS, **defaults)
    started = time.monotonic()
    with Program((sys.executable, "-m", "deploy.run"), env, instance.with_suffix(".log")) as program:
        program.wait_for(lambda: answers_at(base), "make run does not serve")
        seconds = time.monotonic() - started
        # Both load the application, and would share the processors with what is measured.
        program.wait_for_line("ready.")
        program.wait_for(lambda: not _children(program, "deploy.prepare"), "the preparation does not end")
        (gunicorn,) = _children(program, "gunicorn")
        yield Running(base, gunicorn, seconds)


def _children(program: Program, word: str) -> list[int]:
    """Ids of those whose command has `word` in it."""
    found = []
    for child in psutil.Process(program.pid).children():
        with suppress(psutil.NoSuchProcess):
            if any(word in part for part in child.cmdline()):
                found.append(child.pid)
    return found


def _requests(lab: Lab, instance: Path, running: Running) -> Row:
    app = create_app(Settings(_env_file=None, instance=instance, log_level="WARNING"))
    with disposing(app), app.app_context():
        # Some robots have a membership for decades, which cannot be extended.
        members = select(Membership.uid)
        callers = log_in(app, list(db.session.scalars(select(User.id).where(User.id.not_in(members)))))
    couples = itertools.combinations(callers, 2)

    def like(count: int) -> list[str]:
        return [_like(*pair) for pair in itertools.islice(couples, count)]

    contenders = {
        "profile": Contender(
            running.base, {"web": running.gunicorn}, repeated(get(PROFILE, c.session_id) for c in callers)
        ),
        "users": Contender(running.base, {"web": running.gunicorn}, repeated(deck_lines(callers))),
        "like": Contender(running.base, {"web": running.gunicorn}, like, is_fresh=True, rate=500),
    }
    results = compare(lab.folder, lab.rounds, lab.seconds, *contenders.values())
    words = [f"{name} {each.cpu_us():.0f} µs" for name, each in zip(contenders, results, strict=True)]
    rates = ", ".join(f"{each.rate:.0f}" for each in results)
    return Row("the embedded default (SQLite, embedded Redis)", "", ", ".join(words), rates=rates)


def _like(one: Caller, other: Caller) -> str:
    return post(LIKE, f"sid={other.id}", one.session_id)
