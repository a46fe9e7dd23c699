"""The service that the browsers visit, and the people who live there."""

import itertools
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyotp
from redis import Redis

from config.settings import ROOT, Settings
from tests.copies import Copy
from tests.processes import BIN, Visitor, environment

SESSION_COOKIE = "swiper_session"
# No robot lives here, so whoever a test brings together meets nobody else.
QUIET_CITY = "拉萨"
# The share of robots that answer with a bare `make run`.
USUAL_SHARE: int = Settings.model_fields["robots_answer_percent"].default
_numbers = itertools.count(13_600_000_000)

SECRET = re.compile("<code>([A-Z2-7]{32})</code>")
TOKEN = re.compile('name="form_token" value="([^"]+)"')


@dataclass(frozen=True)
class Person:
    """Somebody with an account, and the session to look at it with."""

    id: str
    phone: str
    nickname: str
    sid: str


class Site(Copy):
    """A copy of the service as `make run` starts it, robots included; `share` percent of them answer."""

    def __init__(
        self, instance: Path, log: Path, share: int = USUAL_SHARE, port: int | None = None, **changes: object
    ) -> None:
        super().__init__(instance, log, port, **{"ROBOTS_ANSWER_PERCENT": share} | changes)
        self.share = share

    def again(self) -> "Site":
        """Another start on the same data and the same port, after this one has ended."""
        return Site(self.instance, self.program.log, self.share, self.port)

    def code_for(self, phone: str) -> str:
        """The last code that was sent to the number, once it lies in the outbox."""

        def sent() -> list[str]:
            return [line["code"] for line in self.codes() if line["phone"].endswith(phone)]

        self.program.wait_for(sent, f"no code went to {phone}")
        return sent()[-1]

    def person(self, *, level: int = 0, **profile: Any) -> Person:
        """A person with a complete profile, made by the API: by default a man of 1995 who lives where no robot does."""
        phone = new_phone()
        complete = {"nickname": f"小{phone[-5:]}", "sex": "male", "birthday": "1995-05-20", "location": QUIET_CITY}
        with self.visit() as visitor:
            uid = self.log_in(visitor, phone)
            own = _done(visitor.post("/api/user/profile/modify", json=complete | profile))
            if level:
                _buy(visitor, level)
            return Person(uid, phone, own["nickname"], str(visitor.cookies.get(SESSION_COOKIE)))

    def drop_resend_locks(self) -> None:
        """As if a minute had passed since the last codes."""
        client = Redis.from_url(Settings(_env_file=None, instance=self.instance).redis_url)
        for key in client.keys("{p:*}:lock"):
            client.delete(key)
        client.close()

    def fresh_code(self, person: Person, ask: Callable[[], object]) -> str:
        """The code that the person gets when `ask` has one sent, however short a time ago the last one was."""
        self.drop_resend_locks()
        seen = len(self.codes())
        ask()
        self.program.wait_for(lambda: len(self.codes()) > seen, "no code was sent")
        return self.code_for(person.phone)

    def log_in_again(self, person: Person) -> Person:
        """The person with a second session."""
        with self.visit() as visitor:
            code = self.fresh_code(
                person, lambda: _done(visitor.post("/api/user/verify", json={"phonenum": person.phone}))
            )
            _done(visitor.post("/api/user/login", json={"phonenum": person.phone, "vcode": code}))
            return replace(person, sid=str(visitor.cookies.get(SESSION_COOKIE)))

    def couple(self, **profile: Any) -> tuple[Person, Person]:
        """A man and a woman in a city of their own, who meet each other and nobody else."""
        city = f"{QUIET_CITY}{next(_numbers)}"
        return self.person(location=city, **profile), self.person(location=city, sex="female", **profile)

    def command(self, *words: str) -> str:
        """What a `flask` command on this service's data prints."""
        done = subprocess.run(
            [BIN / "flask", *words],
            env=environment(self.instance),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @cached_property
    def operator(self) -> Person:
        """The person who may use the operator's desk."""
        person = self.person(nickname="运营小李", bio="long" * 40)
        self.command("grant-operator", person.phone)
        self.unlock_admin(person)
        return person

    def unlock_admin(self, person: Person) -> None:
        """Set up the operator's authenticator in their session, which unlocks the desk in it."""
        with self.visit() as visitor:
            visitor.cookies.set(SESSION_COOKIE, person.sid)
            page = visitor.post("/admin/unlock/begin", data=_form(visitor)).text
            [secret] = SECRET.findall(page)
            answer = visitor.post("/admin/unlock/confirm", data=_form(visitor, code=pyotp.TOTP(secret).now()))
            assert answer.status_code == 200, answer.text

    @contextmanager
    def idle_worker(self) -> Iterator[None]:
        """Meanwhile the worker does nothing, as when it has too much to do."""
        workers = [member for member in self.program.children() if "celery_worker" in member.cmdline()]
        assert workers
        for worker in workers:
            worker.suspend()
        try:
            yield
        finally:
            for worker in workers:
                worker.resume()

    def visit_as(self, person: Person) -> Visitor:
        """A client of the API with the person's session."""
        return Visitor(self.base, person.sid)

    def post_as(self, person: Person, path: str, **body: Any) -> Any:
        """What the API answers to the person."""
        with self.visit_as(person) as visitor:
            return _done(visitor.post(path, json=body))

    def get_as(self, person: Person, path: str) -> Any:
        """What the API shows to the person."""
        with self.visit_as(person) as visitor:
            return _done(visitor.get(path))


def new_phone() -> str:
    """A mainland mobile number that nobody here has had before."""
    return str(next(_numbers))


def _buy(visitor: Visitor, level: int) -> None:
    order = _done(visitor.post("/api/vip/orders", json={"level": level, "months": 1}))
    _done(visitor.post(order["payment"]["url"]))


def _done(answer: Any) -> Any:
    assert answer.ok, answer.text
    return answer.json()["data"]


def _form(visitor: Visitor, **fields: str) -> dict[str, str]:
    """A form of the page that unlocks the desk, with its token."""
    [token] = set(TOKEN.findall(visitor.get("/admin/unlock").text))
    return fields | {"form_token": token}
