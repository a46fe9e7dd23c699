"""Schemathesis sends what the OpenAPI document allows and what it forbids; every answer must be one that it describes.

All checks of the installed version run, once for a stranger and once for a member of the highest level. The inputs are
the same in every run; `FUZZ_EXAMPLES=500 FUZZ_SEED=1 pytest tests/fuzz` looks further.
"""

import io
import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from PIL import Image
from schemathesis.core.failures import Failure
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.openapi.checks import RejectedPositiveData
from schemathesis.specs.openapi.schemas import OpenApiSchema
from schemathesis.transport.wsgi import WSGITransport
from werkzeug.exceptions import HTTPException

from swiper.auth.sessions import key_of
from swiper.clock import now
from swiper.extensions import db, redis
from swiper.http.bodies import FORM
from swiper.ids import MAX_ID
from swiper.profiles.profiles import load_account
from swiper.vip.sales import add_sale
from tests.factories import People

# For each operation, beside the cases that follow from the document alone; in the long run the time-out is yours.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "8"))
CHAINS = EXAMPLES * 2
TIMEOUT = 300 if EXAMPLES < 20 else 0
SEED = int(os.environ.get("FUZZ_SEED", "20240229"))
PLENTY = 10**6
LIMITS = {
    "code_resend_seconds": 1,
    "sms_per_number_per_hour": PLENTY,
    "sms_per_number_per_day": PLENTY,
    "sms_per_ip_per_day": PLENTY,
    "sms_global_per_day": PLENTY,
    "sms_per_net24_per_day": PLENTY,
    "sms_brake_percent": 0,
    "proof_of_work_percent": 100,
    "login_per_ip_per_minute": PLENTY,
    "uploads_per_user_per_hour": PLENTY,
    "likes_per_day": PLENTY,
    "superlikes_per_day": PLENTY,
    "rewinds_per_day": PLENTY,
    # As in production: the list of bans need not be read anew for each request.
    "local_refresh_seconds": 1.0,
    # A busy machine is no outage.
    "redis_timeout_seconds": 5.0,
}
CONFIRMED = ("GET /api/user/export", "POST /api/user/export", "DELETE /api/user/account")
# Rules that no schema can tell, with the words in which each operation may therefore refuse what its schema allows.
RULES = {
    # Which digits make a number is the library's knowledge, and a right code is known to the phone's owner alone.
    "POST /api/user/verify": {"Not a valid phone number.", "Codes are not sent to this country."},
    "GET /api/user/verify": {"Not a valid phone number.", "Codes are not sent to this country."},
    "POST /api/user/login": {"Not a valid phone number.", "The code is wrong, used or has expired."},
    **{name: {"The code is wrong, used or has expired."} for name in CONFIRMED},
    # Depends on today, on another field, on other people's names.
    "POST /api/user/profile/modify": {
        "You must be 18 to 100 years old.",
        "The minimum is above the maximum.",
        "This nickname is taken.",
    },
    # Depends on what was done before, and on who the caller is.
    "POST /api/user/photos": {"The album is full."},
    "POST /api/social/rewind": {"This is not your last swipe."},
    "POST /api/social/like": {"You cannot swipe yourself."},
    "POST /api/social/superlike": {"You cannot swipe yourself."},
    "POST /api/social/dislike": {"You cannot swipe yourself."},
    # Levels are rows that an operator edits.
    "POST /api/vip/orders": {"Not one of the choices."},
}
# JSON Schema takes 5.0 for an integer, and has no bound for a number written as text; the service is stricter there.
STRICTER = {"Not a valid id.", "Not a valid integer."}
PUBLIC = ["verify", "verify_by_get", "login", "show_levels", "receive_payment"]
# A login needs the code from the phone, a payment notice the provider's signature.
OUT_OF_REACH = {"login", "receive_payment", "export", "export_by_post", "delete_account"}


def picture(size: int, kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (size, size), "teal").save(file, kind)
    return file.getvalue()


def numbers() -> st.SearchStrategy[str]:
    return st.integers(13_800_000_000, 13_899_999_999).map(str)


schemathesis.openapi.format("int64", st.one_of(st.integers(1, 10**6), st.integers(2**62, MAX_ID)).map(str))
schemathesis.openapi.format("phone", st.one_of(numbers(), numbers().map("+86 {}".format), st.text("+0123456789 ()-")))
schemathesis.openapi.format("plain-text", st.text("abcXYZ 你好é😀", max_size=40))
for kind in ("jpeg", "png", "webp"):
    schemathesis.openapi.media_type(
        f"image/{kind}", st.integers(1, 40).map(lambda size, kind=kind: picture(size, kind))
    )


class Door:
    """The application, with two members who are logged in again after each request that ends their session.

    Who deletes the account gets a new one. `POST /door/me` lets in, as Schemathesis expects of a login.
    """

    NAMES = ("me", "peer")
    ENDING = {"login", "logout", "delete_account"}

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.people = People(app)
        self.others = [self.people.woman() for _ in range(3)]
        with app.app_context():
            opens, closes = now() - timedelta(hours=1), now() + timedelta(hours=1)
            sale = add_sale("秒杀", level=1, months=1, price_cents=1, stock=PLENTY, starts_at=opens, ends_at=closes)
        people = [str(other.id) for other in self.others]
        self.known = {"sid": people, "user_id": people, "sale_id": [str(sale.id)] * 3, "level": [1, 2, 3]}
        self.uids: dict[str, int] = {}
        self.statuses: dict[str, Counter[int]] = defaultdict(Counter)
        self.let_in()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/door/"):
            cookie = f"{self.app.config['SESSION_COOKIE_NAME']}={self.pass_of(path.removeprefix('/door/'))}"
            start_response("200 OK", [("Set-Cookie", cookie)])
            return [b""]
        # The pass is for whoever bears the name at that moment, since some requests end accounts.
        for name in self.uids:
            environ["HTTP_COOKIE"] = environ.get("HTTP_COOKIE", "").replace(self.pass_of(name), self.sid(name))
        # Werkzeug's own client, other than Flask's, names no address.
        environ["REMOTE_ADDR"] = "127.0.0.1"
        view = self.view_of(environ)

        def start(status: str, *args: Any) -> Any:
            self.statuses[view][int(status[:3])] += 1
            return start_response(status, *args)

        answer = self.app(environ, start)
        if view in self.ENDING:
            self.let_in()
        return answer

    def view_of(self, environ: dict[str, Any]) -> str:
        if environ["REQUEST_METHOD"] == "OPTIONS":
            return ""
        try:
            endpoint, _ = self.app.url_map.bind("localhost").match(environ["PATH_INFO"], environ["REQUEST_METHOD"])
        except HTTPException:
            return ""
        return str(endpoint).rpartition(".")[2]

    def pass_of(self, name: str) -> str:
        return name * 10

    def sid(self, name: str) -> str:
        return f"{self.uids[name]}.{name * 22:.43}"

    def let_in(self) -> None:
        interface: Any = self.app.session_interface
        for name in self.NAMES:
            with self.app.app_context():
                if name not in self.uids or load_account(self.uids[name]) is None:
                    self.uids[name] = self.settle(name)
                stored = interface.serializer.encode({"uid": self.uids[name]})
                redis.client.set(key_of(self.sid(name)), stored, ex=3600)
                db.session.remove()

    def start_over(self) -> None:
        """Nothing of what the last chain of requests has done is left."""
        del self.uids["me"]
        self.let_in()

    def settle(self, name: str) -> int:
        """A new member of the highest level with a friend, an order, a ticket and a photo."""
        member = self.people.add(vip=3)
        friend, fan, _ = self.others
        friend.like(member)
        fan.like(member)
        member.like(friend)
        order = member.post("/api/vip/orders", level=3, months=1).json["data"]
        ticket = member.post("/api/vip/qbuy", sale_id=self.known["sale_id"][0]).json["data"]
        file = io.BytesIO(picture(9, "PNG"))
        photo = member.client.post("/api/user/photos", data={"photo": (file, "x.png")}).json["data"]
        if name == "me":
            own = {"order_id": order["id"], "ticket_id": ticket["ticket"], "photo_id": photo["id"]}
            self.known |= {kind: [number] * 3 for kind, number in own.items()}
        return member.id

    def exchange(self, given: Any) -> Any:
        """`given` with ids and levels that exist in the place of most that could, to see more than refusals."""
        if not isinstance(given, dict):
            return given
        names = [name for name in self.known.keys() & given.keys() if is_exchangeable(name, given[name])]
        digits = {name: int(given[name]) for name in names}
        chosen = {name: self.known[name][number % 4 :][:1] for name, number in digits.items()}
        return given | {name: found[0] for name, found in chosen.items() if found}


def is_exchangeable(name: str, value: Any) -> bool:
    """True where the schema admits the value; a wrong one must stay wrong."""
    if name == "level":
        return type(value) is int and 1 <= value <= 100
    return str(value).isdecimal() and 0 < int(value) <= MAX_ID


@pytest.fixture
def door(app: Flask, make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> Door:
    send = WSGITransport.send

    def send_without(self: WSGITransport, case: Any, **options: Any) -> Any:
        # The engine of 4.32 gives the settings of a network client to the in-process one too, which takes none.
        for name in ("max_redirects", "verify", "cert"):
            options.pop(name, None)
        if case.media_type == FORM and isinstance(case.body, dict):
            # Werkzeug's client takes an object in a form for a file, and sends nothing. Others send its names.
            case.body = {name: list(value) if isinstance(value, dict) else value for name, value in case.body.items()}
        return send(self, case, **options)

    monkeypatch.setattr(WSGITransport, "send", send_without)
    return Door(make_app(**LIMITS))


def load(door: Door, **config: Any) -> OpenApiSchema:
    examples = {"generation": {"max-examples": EXAMPLES}}
    # A chain of requests is about what follows; what is refused, and to whom, is seen in the other phases.
    chains = {"generation": {"mode": "positive"}, "checks": {"ignored_auth": {"enabled": False}}}
    common = {
        "seed": SEED,
        "suppress-health-check": ["all"],
        "cache": {"enabled": False},
        "generation": {"deterministic": True, "database": "none"},
        "phases": {"examples": examples, "fuzzing": examples, "stateful": chains},
    }
    merged = schemathesis.Config.from_dict(common | config)
    schema = schemathesis.openapi.from_wsgi("/openapi.json", door, config=merged)

    @schema.hook
    def map_path_parameters(context: Any, path_parameters: Any) -> Any:
        return door.exchange(path_parameters)

    @schema.hook
    def map_body(context: Any, body: Any) -> Any:
        return door.exchange(body)

    @schema.hook
    def filter_failure(context: Any, failure: Failure, case: Any, response: Any) -> bool:
        return not is_a_rule(failure, case, response)

    return schema


def is_a_rule(failure: Failure, case: Any, response: Any) -> bool:
    """True where the service refused by one of `RULES`, or is stricter by design, while the schema had no objection."""
    if not isinstance(failure, RejectedPositiveData):
        return False
    answer = response.json()
    reasons = {reason for of_field in answer.get("errors", {}).values() for reason in of_field}
    allowed = set(RULES.get(case.operation.label, ()))
    if isinstance(case.body, dict) and any(is_too_odd_a_number(value) for value in case.body.values()):
        allowed |= STRICTER
    return (reasons or {answer["message"]}) <= allowed


def is_too_odd_a_number(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, str) and value.isdecimal() and int(value) > MAX_ID)


def fuzz(schema: OpenApiSchema) -> Iterator[str]:
    """Everything that any check has to object, with a command that sends the request again."""
    # The engine's own chains of requests stop early, and silently, where one does not begin in the state of the last.
    schema.config.phases.stateful.enabled = False
    for event in from_schema(schema).execute():
        if isinstance(event, events.FatalError):
            raise event.exception
        if isinstance(event, events.NonFatalError):
            yield f"{event.label}: {event.value!r}"
        if isinstance(event, events.ScenarioFinished):
            yield from complaints_of(event.recorder)


def complaints_of(scenario: ScenarioRecorder) -> Iterator[str]:
    for case_id, checks in scenario.checks.items():
        for check in checks:
            if check.failure_info is not None:
                answer = scenario.interactions[case_id].response
                told = answer.text if answer is not None else ""
                yield f"{check.name}: {check.failure_info.failure}\n{check.failure_info.code_sample}\n{told}"


def operations_of(schema: OpenApiSchema) -> set[str]:
    return {operation["operationId"] for path in schema.raw_schema["paths"].values() for operation in path.values()}


@pytest.mark.timeout(TIMEOUT)
def test_a_stranger_gets_documented_answers_alone(door: Door) -> None:
    # Every value of every field is tried where a stranger may enter; elsewhere the refusal comes before all of them.
    closed = {"exclude-operation-id": PUBLIC, "phases": {"coverage": {"enabled": False}}}
    schema = load(door, operations=[closed])
    complaints = list(fuzz(schema))
    assert not complaints, "\n\n".join(complaints)
    assert operations_of(schema) <= door.statuses.keys()
    inside = operations_of(schema) - set(PUBLIC)
    assert {name: set(door.statuses[name]) - {404} for name in inside} == {name: {401} for name in inside}


@pytest.fixture
def schema(door: Door, tmp_path: Path) -> OpenApiSchema:
    """For a member, and for another one who is asked to look at what belongs to the first."""
    file = tmp_path / "members.json"
    entries = [
        {"name": name, "loginEndpointAuth": {"verb": "POST", "endpoint": f"/door/{name}", "expectCookies": True}}
        for name in Door.NAMES
    ]
    file.write_text(json.dumps({"auth": entries}))
    return load(door, auth={"wfc": {"path": str(file), "user": "me", "peers": list(Door.NAMES)}})


@pytest.mark.timeout(TIMEOUT)
def test_a_member_gets_documented_answers_alone(door: Door, schema: OpenApiSchema) -> None:
    complaints = list(fuzz(schema))
    assert not complaints, "\n\n".join(complaints)
    # Refusals alone would prove little; whether chance finds a friend to leave, or somebody not yet swiped, differs.
    reached = {name for name, seen in door.statuses.items() if {200, 201} & seen.keys()}
    missed = operations_of(schema) - OUT_OF_REACH - reached
    assert len(missed) <= len(operations_of(schema)) // 10, missed


@pytest.mark.timeout(TIMEOUT)
def test_what_one_answer_leads_to_is_documented_as_well(door: Door, schema: OpenApiSchema) -> None:
    """Chains along the links: what was made can be had, what was removed cannot, and nobody else can have it."""

    class Chain(schema.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            door.start_over()

    seed(SEED)(Chain).run(
        settings=settings(
            max_examples=CHAINS,
            stateful_step_count=20,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
    )
    for made in ("show_order", "pay_in_sandbox", "show_ticket", "delete_photo"):
        assert door.statuses[made][200]
