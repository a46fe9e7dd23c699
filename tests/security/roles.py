"""A world with a person for each role, the body that each route takes, and what a role is answered."""

import io
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from swiper.admin.unlocks import unlock
from swiper.bans.services import ban_network
from swiper.clock import today
from swiper.extensions import db, redis
from swiper.profiles.accounts import set_status
from swiper.profiles.models import Status
from swiper.profiles.operators import grant_role
from swiper.vip.models import Quota, QuotaKind
from tests.endpoints import BODIES, Row
from tests.factories import People, Person, session_id_of

STATUSES = {
    **{"page": (200,), "0": (200, 201), "1000": (400,), "1001": (401,), "1004": (403,), "1006": (429,)},
    # What an operator is refused is told on a page.
    **{"400": (400,), "1005": (409,)},
    **{"302": (302,), "303": (303,), "1009": (404,), "1010": (403,), "1014": (403,), "1017": (403,)},
}
BANNED_ADDRESS = "203.0.113.9"
FAR_CITY = "北京"


def picture() -> tuple[io.BytesIO, str]:
    file = io.BytesIO()
    Image.new("RGB", (20, 20), "teal").save(file, "JPEG")
    file.seek(0)
    return file, "picture.jpg"


@dataclass
class World:
    """An owner of everything that can be owned, and a caller in one of the roles."""

    app: Flask
    people: People
    caller: FlaskClient
    owner: Person
    friend: Person
    women: Iterator[Person]
    ids: dict[str, Any]
    peer: str = "127.0.0.1"
    person: Person | None = None
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(13_700_000_000))

    def path(self, rule: str) -> str:
        """The rule's path with the owner's ids in it."""
        for mark, name in (
            ("<id:photo_id>", "photo"),
            ("<session_id>", "session"),
            ("<id:order_id>", "order"),
            ("<id:ticket_id>", "ticket"),
            ("<id:user_id>", "user"),
            ("<id:uid>", "user"),
            ("<id:sale_id>", "sale"),
            ("<int(max=100):number>", "level"),
            ("<path:key>", "media"),
            ("<any(male, female):sex>/<id:seed>", "portrait"),
        ):
            rule = rule.replace(mark, str(self.ids[name]))
        asset = "admin.css" if rule.startswith("/admin") else "tokens.css"
        rule = rule.replace("<path:name>", "swagger-ui.css").replace("<path:filename>", asset)
        return rule.replace("<provider>", "sandbox")

    def body(self, row: Row) -> dict[str, Any]:
        """What the client sends; nothing where the path says it all."""
        name = f"{row.method} {row.rule} +{row.variant}" if row.variant else f"{row.method} {row.rule}"
        return REQUESTS[name](self) if name in REQUESTS else _accepted_body(row)

    def ask(self, method: str, path: str, **body: Any) -> TestResponse:
        answer = self.caller.open(path, method=method, environ_base={"REMOTE_ADDR": self.peer}, **body)
        answer.get_data()
        answer.close()
        return answer


def _accepted_body(row: Row) -> dict[str, Any]:
    return {"json": BODIES[row.rule][0]} if row.method == "POST" and row.rule in BODIES else {}


def verify_with(place: str) -> Callable[[World], dict[str, Any]]:
    """Each number may ask once a minute, so each request has its own."""
    return lambda world: {place: {"phonenum": str(next(world.numbers))}}


def swipe(world: World) -> dict[str, Any]:
    return {"json": {"sid": str(next(world.women).id)}}


def forged_notice(world: World) -> dict[str, Any]:
    notice = {"order_id": str(world.ids["order"]), "payment_id": "x", "amount_cents": 500, "currency": "CNY"}
    return {"json": notice, "headers": {"X-Signature": "0" * 64}}


def confirmed(world: World) -> dict[str, Any]:
    if world.person is None:
        return {}
    with world.app.app_context():
        # As when an hour has passed since the last export.
        redis.client.delete(f"{{u:{world.person.id}}}:export")
    return {"headers": {"X-Confirm-Code": world.person.fresh_code()}, "buffered": True}


def form(**fields: str) -> Callable[[World], dict[str, Any]]:
    """What a form of the desk sends; those who cannot see one have no token."""

    def filled_in(world: World) -> dict[str, Any]:
        found = re.search('name="form_token" value="([^"]+)"', world.caller.get("/admin/unlock").text)
        return {"data": fields | ({"form_token": found[1]} if found else {})}

    return filled_in


A_SALE = {"name": "sale", "level": "1", "months": "1", "price": "1", "stock": "1"}
# What is sent where it is neither nothing nor the body of `tests.endpoints`.
REQUESTS: dict[str, Callable[[World], dict[str, Any]]] = {
    "GET /api/user/export": confirmed,
    "POST /api/user/export": confirmed,
    "DELETE /api/user/account": confirmed,
    "POST /api/user/verify": verify_with("json"),
    "GET /api/user/verify": verify_with("query_string"),
    "POST /api/user/login +wrong_code": lambda _: {"json": {"phonenum": "13800138000", "vcode": "000000"}},
    "POST /api/user/export +no_code": lambda _: {},
    "POST /api/user/logout": lambda _: {},
    "POST /api/social/rewind": lambda _: {},
    "POST /api/user/profile/modify +far_city": lambda _: {"json": {"dating_location": FAR_CITY}},
    "POST /api/user/avatar/upload": lambda _: {"data": {"avatar": picture()}},
    "POST /api/user/photos": lambda _: {"data": {"photo": picture()}},
    "POST /api/social/like": swipe,
    "POST /api/social/like +fifty_first": swipe,
    "POST /api/social/superlike": swipe,
    "POST /api/social/dislike": swipe,
    "POST /api/social/unfriend": lambda world: {"json": {"sid": str(world.friend.id)}},
    "POST /api/vip/payments/<provider>/callback": forged_notice,
    "POST /admin/people/search": form(wanted="李"),
    "POST /admin/people/<id:uid>/phone": form(),
    "POST /admin/people/<id:uid>/correct": form(sex="female"),
    "POST /admin/people/<id:uid>/suspend": form(reason="spam"),
    "POST /admin/people/<id:uid>/resume": form(),
    "POST /admin/bans": form(network="198.51.100.0/24"),
    "POST /admin/bans/lift": form(network="198.51.100.0/24"),
    "POST /admin/levels/<int(max=100):number>": form(name="Bronze", price="5", permissions="vipflag"),
    "POST /admin/sales": form(**A_SALE, starts_at="2030-01-01T00:00", ends_at="2030-01-02T00:00"),
    "POST /admin/sales/<id:sale_id>/close": form(),
    "POST /admin/unlock": form(code="000000"),
    "POST /admin/unlock/send": form(),
    "POST /admin/unlock/begin": form(code="000000"),
    "POST /admin/unlock/confirm": form(code="000000"),
    "POST /admin/lock": form(),
    "POST /api/vip/qbuy": lambda world: {"json": {"sale_id": str(world.ids["sale"])}},
}


def take_role(world: World, role: str) -> Person | None:
    """Make the world's caller somebody of this role."""
    if role == "stranger":
        return None
    vip = int(role[-1]) if role.startswith("vip") else 0
    person = world.owner if role == "owner" else world.people.add(vip=vip)
    if role == "suspended":
        with world.app.app_context():
            set_status(person.id, Status.SUSPENDED)
            db.session.remove()
    if role == "banned":
        world.peer = BANNED_ADDRESS
        with world.app.app_context():
            ban_network(BANNED_ADDRESS)
            db.session.remove()
    if role == "operator":
        with world.app.app_context():
            grant_role(person.id)
            db.session.remove()
    # Of the suspended one: a session that was stored while the others were ended.
    world.caller, world.person = world.people.client_of(person.id), person
    if role == "operator":
        with world.app.app_context():
            unlock(person.id, session_id_of(world.caller))
    return person


def use_up_likes(world: World, person: Person) -> None:
    with world.app.app_context():
        row = db.session.get(Quota, (person.id, QuotaKind.LIKE))
        if row is None:
            row = Quota(uid=person.id, kind=QuotaKind.LIKE, day=today())
            db.session.add(row)
        row.used = 50
        db.session.commit()
        db.session.remove()


def check_answer(answer: TestResponse, expected: str, role: str, what: str) -> None:
    found = str(answer.status_code) if answer.status_code in (302, 303) else None
    if answer.status_code == 200 and "code" not in (answer.get_json(silent=True) or {}):
        found = "page"
    elif answer.status_code >= 400 and answer.mimetype == "text/html":
        found = str(answer.status_code)
    found = found or str(answer.json["code"])
    assert (role, found, answer.status_code in STATUSES[expected]) == (role, expected, True), f"{what}: {answer.text}"
    if expected == "302":
        assert answer.headers["Location"] == "/?next=/admin"
    elif expected not in ("page", "0", "303", "400"):
        assert set(answer.json) <= {"code", "data", "message", "errors"}
        assert answer.json["data"] is None or set(answer.json["data"]) in ({"reset_at"}, {"until"})
        assert "Set-Cookie" not in answer.headers
