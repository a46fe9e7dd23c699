"""Users with an open session, in whose name requests are made."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, session
from flask.globals import request_ctx

from swiper.auth import sessions
from swiper.extensions import db
from swiper.vip.memberships import grant

TOP_LEVEL, MONTHS = 3, 12


@dataclass(frozen=True)
class Caller:
    """A user with an open session, on the highest VIP level."""

    id: int
    session_id: str


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


def pair_up(callers: Sequence[Caller], people: Sequence[int]) -> Iterator[tuple[Caller, int]]:
    """Callers in turn, each with one of `people`: each pair once, and nobody with themselves."""
    stride = max(1, len(people) // len(callers))
    for step in range(len(people)):
        for place, caller in enumerate(callers):
            uid = people[(place * stride + step) % len(people)]
            if uid != caller.id:
                yield caller, uid
