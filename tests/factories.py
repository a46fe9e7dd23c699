"""People for the tests: made by the ordinary services, logged in by the ordinary endpoints."""

import itertools
import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, TypeVar

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete

from swiper.auth.codes import deliver_code, unsent_codes
from swiper.auth.login import find_or_create, restore_code
from swiper.auth.sessions import key_of, list_key, new_session, new_session_id
from swiper.cache.models import Invalidation
from swiper.cache.values import invalidate
from swiper.extensions import db
from swiper.profiles.models import DatingSex, Sex
from swiper.profiles.profile_changes import change_profile
from swiper.profiles.profiles import load_account
from swiper.vip.levels import LEVELS_KEY, LEVELS_PAGE_KEY, vip_status_of
from swiper.vip.memberships import grant

T = TypeVar("T")

SESSION_COOKIE = "swiper_session"


@dataclass
class Person:
    """A user with a logged-in client of their own."""

    id: int
    phone: str
    client: FlaskClient

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(path, query_string=query)

    def post(self, path: str, **body: Any) -> Any:
        return self.client.post(path, json=body)

    def like(self, other: "Person | int") -> Any:
        return self.swipe("like", other)

    def superlike(self, other: "Person | int") -> Any:
        return self.swipe("superlike", other)

    def dislike(self, other: "Person | int") -> Any:
        return self.swipe("dislike", other)

    def swipe(self, kind: str, other: "Person | int") -> Any:
        sid = other.id if isinstance(other, Person) else other
        return self.post(f"/api/social/{kind}", sid=str(sid))

    def deck(self, group: int = 0) -> list[int]:
        """The ids that one group of the deck shows."""
        data = self.get("/api/social/users", group_num=group).json["data"]
        return [int(card["id"]) for card in data["users"]]

    def fresh_code(self) -> str:
        """A code of the own number, as if one had been asked for and had come."""
        with self.client.application.app_context():
            restore_code(self.phone, "123456", 60_000)
        return "123456"

    def export(self) -> Any:
        return self.client.get("/api/user/export", headers={"X-Confirm-Code": self.fresh_code()})

    def delete_account(self) -> Any:
        return self.client.delete("/api/user/account", json={"vcode": self.fresh_code()})

    def friends(self) -> list[int]:
        return [int(card["id"]) for card in self.get("/api/social/friends").json["data"]["items"]]


class People:
    """Makes users. `add` takes the short way through the services, `log_in` the whole way through the endpoints."""

    ENUMS = {"sex": Sex, "dating_sex": DatingSex}
    PROFILE = {"sex": "male", "birthday": date(1995, 5, 20), "location": "上海"}

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.numbers = itertools.count(13_800_000_000)

    def add(self, *, vip: int = 0, is_complete: bool = True, **profile: Any) -> Person:
        """A user with a complete profile, by default a man of 1995 in 上海, on VIP level `vip`."""
        phone = f"+86{next(self.numbers)}"
        with self.app.app_context():
            uid = find_or_create(phone).id
            if vip:
                grant(uid, vip, 1)
            if is_complete or profile:
                wanted = (self.PROFILE if is_complete else {}) | profile
                enums = {name: kind(wanted[name]) for name, kind in self.ENUMS.items() if wanted.get(name)}
                change_profile(uid, wanted | enums, vip_status_of(uid))
            trust_the_cache(self.app, uid)
            db.session.remove()
        return Person(uid, phone, self.client_of(uid))

    def woman(self, **profile: Any) -> Person:
        """Like `add`, a woman."""
        return self.add(**{"sex": "female"} | profile)

    def client_of(self, uid: int) -> FlaskClient:
        """A client with a stored session of `uid`."""
        interface: Any = self.app.session_interface
        client = self.app.test_client()
        session_id = new_session_id(uid)
        with self.app.app_context():
            interface.client.set(key_of(session_id), interface.serializer.encode(new_session(uid)), ex=3600)
            interface.client.zadd(list_key(uid), {session_id: time.time() + 3600})
        client.set_cookie(self.app.config["SESSION_COOKIE_NAME"], session_id)
        return client

    def log_in(self, phone: str) -> Person:
        """Ask for a code, let the worker's service send it, read it from the outbox, log in."""
        client = self.app.test_client()
        answer = client.post("/api/user/verify", json={"phonenum": phone})
        assert answer.status_code == 200, answer.json
        code = self.sent_code()
        answer = client.post("/api/user/login", json={"phonenum": phone, "vcode": code})
        assert answer.status_code == 200, answer.json
        return Person(int(answer.json["data"]["id"]), answer.json["data"]["phone"], client)

    def sent_code(self) -> str:
        """Send what waits in the outbox, and read the last code that went out."""
        with self.app.app_context():
            for outbox_id in unsent_codes():
                deliver_code(outbox_id)
            db.session.remove()
        lines = (self.app.config["INSTANCE"] / "sms-outbox.jsonl").read_text().splitlines()
        code: str = json.loads(lines[-1])["code"]
        return code

    def account(self, person: Person) -> Any:
        """The stored account."""
        with self.app.app_context():
            return load_account(person.id)


def trust_the_cache(app: Flask, uid: int) -> None:
    """What is cached of `uid` (or of all: `SHARED`) is used, as it is a while after the last change."""
    with db.engine.begin() as connection:
        connection.execute(delete(Invalidation).where(Invalidation.uid == uid))
    app.extensions.pop("pending", None)


def forget_levels() -> None:
    """Drop what is cached of the levels, for a test that has changed their rows by itself."""
    invalidate(LEVELS_KEY, LEVELS_PAGE_KEY)


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Run all calls at the same moment, a thread each; their results in order."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        barrier.wait(30)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


class Clock:
    """Stops the service's clock at `moment`; Redis and the operating system go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
        self.moment = moment
        monkeypatch.setattr("swiper.clock.datetime", self)

    combine = staticmethod(datetime.combine)

    def now(self, zone: tzinfo) -> datetime:
        """Stands in for `datetime.now`."""
        return self.moment.astimezone(zone)

    def advance(self, **delta: float) -> None:
        """Move on by a timedelta."""
        self.moment += timedelta(**delta)


def session_id_of(client: FlaskClient) -> str:
    """The session id that a client holds."""
    cookie = client.get_cookie(SESSION_COOKIE)
    assert cookie is not None
    return cookie.value


def client_holding(app: Flask, session_id: str) -> FlaskClient:
    """A client that holds a session id, wherever it is from."""
    client = app.test_client()
    client.set_cookie(SESSION_COOKIE, session_id)
    return client
