"""Two people, and all that they do in the service."""

import hashlib
import io
import json
import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import event
from sqlalchemy.orm.attributes import flag_modified

from swiper.auth.codes import deliver_code, unsent_codes
from swiper.auth.login import restore_code
from swiper.clock import now
from swiper.extensions import db, redis
from swiper.profiles.models import User
from swiper.social.deletions import remove_traces
from swiper.social.ranking_rebuild import rebuild_ranking
from swiper.vip.sales import add_sale, serve_ticket
from tests.endpoints import plain_requests
from tests.security.patterns import TELLING_DIGITS
from tests.security.stored import rows_of

VIEWER = "tests.viewer"
CONFIRM_CODE = "770077"
FAR_CITY = "牡丹江"
GPS = {0: b"\x02\x03\x00\x00", 1: "N", 2: (31.0, 13.0, 49.44), 3: "E", 4: (121.0, 28.0, 25.32)}


@dataclass
class Human:
    """Somebody with a secret or two."""

    name: str
    phone: str
    birthday: date
    sex: str
    client: FlaskClient
    id: int = 0
    codes: list[str] = field(default_factory=list)

    @property
    def number(self) -> str:
        """As dialled at home."""
        return self.phone.removeprefix("+86")

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(path, query_string=query)

    def post(self, path: str, **body: Any) -> Any:
        return self.client.post(path, json=body)

    def secrets(self) -> list[re.Pattern[str]]:
        """Number and birthday as anybody might write them."""
        gap = r"[\s().\-–/]{0,3}"
        pieces = {self.number[at : at + TELLING_DIGITS] for at in range(len(self.number) - TELLING_DIGITS + 1)}
        patterns = [re.compile(gap.join(piece)) for piece in pieces]
        year, month, day = self.birthday.timetuple()[:3]
        patterns += [re.compile(rf"(?<!\d){year}[-/.年 ]0?{month}[-/.月 ]0?{day}(?!\d)")]
        patterns += [re.compile(rf"(?<!\d)0?{day}[-/. ]0?{month}[-/. ]{year}(?!\d)")]
        patterns += [re.compile(rf"(?<!\d)0?{month}[-/. ]0?{day}[-/. ]{year}(?!\d)")]
        patterns += [re.compile(rf"(?<![0-9A-Za-z]){year}{month:02}{day:02}(?![0-9A-Za-z])")]
        patterns += [re.compile(rf"\(\s*{year},\s*{month},\s*{day}\b")]
        return patterns + [re.compile(name) for name in self.digests()]

    def digests(self) -> list[str]:
        """A digest without a key is undone by trying all numbers."""
        spellings = (self.phone, self.phone[1:], self.number)
        kinds = (hashlib.md5, hashlib.sha1, hashlib.sha256)
        return [kind(text.encode()).hexdigest()[:16] for kind in kinds for text in spellings]

    def code_patterns(self) -> list[re.Pattern[str]]:
        return [re.compile(rf"(?<![0-9A-Za-z]){code}(?![0-9A-Za-z])") for code in self.codes]


def human(app: Flask, name: str, phone: str, birthday: date, sex: str) -> Human:
    client = app.test_client()
    client.environ_base[VIEWER] = name
    return Human(name, phone, birthday, sex, client)


def humans(app: Flask) -> list[Human]:
    return [
        human(app, "ada", "+8613987650412", date(1991, 3, 17), "female"),
        human(app, "bob", "+8615865432109", date(1988, 11, 29), "male"),
        human(app, "eve", "+8618976501234", date(1979, 2, 28), "male"),
    ]


def send_codes(app: Flask) -> str:
    """What the worker does; the code as it arrived."""
    with app.app_context():
        for outbox_id in unsent_codes():
            deliver_code(outbox_id)
        db.session.remove()
    code: str = json.loads((app.config["INSTANCE"] / "sms-outbox.jsonl").read_text().splitlines()[-1])["code"]
    return code


def photo_with_place() -> tuple[io.BytesIO, str]:
    """As a phone takes it: where, when, and by whom."""
    image, file = Image.new("RGB", (60, 40), "teal"), io.BytesIO()
    exif = Image.Exif()
    exif.get_ifd(0x8825).update(GPS)
    exif[0x9286] = exif[0x010E] = "+8613987650412 1991-03-17"
    image.save(file, "JPEG", exif=exif, comment=b"13987650412")
    file.seek(0)
    return file, "IMG_13987650412.jpg"


class Life:
    """Three people go through everything that the service offers."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.all = humans(app)
        self.ada, self.bob, self.eve = self.all
        # The outbox as it was when each code had been asked for, and when it had gone.
        self.waiting: list[list[str]] = []
        self.left: list[list[str]] = []

    def log_in(self, person: Human, spelling: str) -> None:
        ask = person.get if person is self.bob else person.post
        assert ask("/api/user/verify", phonenum=spelling).status_code == 200
        self.waiting.append(rows_of(self.app)["sms_outbox"])
        person.codes.append(send_codes(self.app))
        self.left.append(rows_of(self.app)["sms_outbox"])
        assert person.post("/api/user/login", phonenum=spelling, vcode="000000").json["code"] == 1000
        answer = person.post("/api/user/login", phonenum=spelling, vcode=person.codes[-1])
        assert answer.status_code == 200, answer.json
        person.id = int(answer.json["data"]["id"])

    def fresh_code(self, person: Human) -> str:
        """A code as if the person had asked for one."""
        with self.app.app_context():
            restore_code(person.phone, CONFIRM_CODE, 60_000)
        return CONFIRM_CODE

    def begin(self) -> None:
        spellings = ("139-8765-0412", "+86 158 6543 2109", "１８９７６５０１２３４")
        for person, spelling in zip(self.all, spellings, strict=True):
            self.log_in(person, spelling)
            profile = {"sex": person.sex, "birthday": person.birthday.isoformat(), "location": "上海"}
            wishes = {"max_dating_age": 77, "dating_sex": "any", "only_match": False}
            assert person.post("/api/user/profile/modify", nickname=person.name, **profile, **wishes).status_code == 200

    def buy(self) -> None:
        """Eve pays for everything, so that nothing is hidden from them."""
        order = self.eve.post("/api/vip/orders", level=3, months=1).json["data"]
        assert self.eve.get(f"/api/vip/orders/{order['id']}").status_code == 200
        assert self.eve.post(order["payment"]["url"]).json["data"]["state"] == "paid"
        with self.app.app_context():
            window = {"starts_at": now() - timedelta(days=1), "ends_at": now() + timedelta(days=1)}
            sale = add_sale("秒杀", level=3, months=1, price_cents=100, stock=9, **window).id
        self.eve.get("/api/vip/sales")
        ticket = int(self.eve.post("/api/vip/qbuy", sale_id=str(sale)).json["data"]["ticket"])
        with self.app.app_context():
            serve_ticket(self.eve.id, ticket)
        assert self.eve.get(f"/api/vip/qbuy/{ticket}").json["data"]["state"] == "ordered"
        assert self.eve.post("/api/user/profile/modify", dating_location=FAR_CITY).status_code == 200
        self.app.test_client().post("/api/vip/payments/sandbox/callback", json={"order_id": order["id"]})

    def show(self) -> None:
        for path, name in (("/api/user/avatar/upload", "avatar"), ("/api/user/photos", "photo")):
            answer = self.ada.client.post(path, data={name: photo_with_place()})
            assert answer.status_code == 201
            with self.eve.get(answer.json["data"]["url"]) as file:
                assert not any(mark in file.data for mark in (b"Exif", b"GPS", b"1398765", b"1991", b"http://ns.adobe"))
                assert Image.open(io.BytesIO(file.data)).getexif() == {}
        self.photo = answer.json["data"]["id"]

    def meet(self) -> None:
        ada, bob, eve = self.ada, self.bob, self.eve
        eve.post("/api/user/profile/modify", dating_location="上海")
        for person in self.all:
            met = {card["id"] for card in person.get("/api/social/users").json["data"]["users"]}
            assert met == {str(other.id) for other in self.all if other is not person}
            person.get("/api/social/users", group_num=9)
        assert ada.post("/api/social/like", sid=str(bob.id)).json["data"] == {"is_matched": False}
        assert bob.post("/api/social/like", sid=str(ada.id)).json["data"] == {"is_matched": True}
        assert eve.post("/api/social/superlike", sid=str(ada.id)).status_code == 200
        assert eve.post("/api/social/dislike", sid=str(bob.id)).status_code == 200
        assert eve.post("/api/social/rewind").status_code == 200
        assert bob.post("/api/social/like", sid=str(eve.id)).status_code == 200
        assert eve.get("/api/social/liked_me").json["data"]["total"] == 1
        with self.app.app_context():
            rebuild_ranking()
        for person in self.all:
            for path in (
                "/api/social/friends",
                "/api/social/hot",
                "/api/vip/me",
                "/api/vip/levels",
                "/api/user/sessions",
            ):
                assert person.get(path).status_code == 200
            for method in ("GET", "POST"):
                headers = {"X-Confirm-Code": self.fresh_code(person)}
                with self.app.app_context():
                    # As when an hour has passed since the last export.
                    redis.client.delete(redis.key(f"{{u:{person.id}}}:export"))
                assert person.client.open("/api/user/export", method=method, headers=headers).status_code == 200
            assert person.client.delete("/api/user/sessions/unknown").status_code == 404
            person.get("/api/user/profile")
            for other in self.all:
                assert person.get(f"/api/user/{other.id}").status_code == 200
        assert bob.post("/api/social/unfriend", sid=str(ada.id)).status_code == 200

    def ask_the_rest(self, asked: set[str]) -> None:
        """Call the endpoints that are not in `asked`, except those that end a session."""
        for endpoint, (method, path, body) in plain_requests(self.app).items():
            for person in self.all if endpoint not in asked | {"auth.logout", "auth.delete_account"} else ():
                person.client.open(path, method=method, json=body or None)

    def stumble(self) -> None:
        """Every kind of error, with numbers wherever one fits."""
        for person in self.all:
            number, spaced = person.phone, f"{person.number[:3]} {person.number[3:7]} {person.number[7:]}"
            for text in (number, spaced):
                person.post("/api/user/verify", phonenum=text)
                person.post("/api/user/verify", phonenum=text + "x")
                person.post("/api/user/login", phonenum=text, vcode=person.codes[0])
                person.post("/api/user/profile/modify", **{text: "x"})
                person.post("/api/user/profile/modify", birthday=f"{person.birthday} x")
                person.post("/api/social/like", sid=text)
                person.get(f"/api/user/{text}")
                person.get("/api/social/users", group_num=text)
                person.get("/api/social/users", **{text: "1"})
                person.get(f"/no/such/route/{text}", phonenum=text)
                person.get(f"/media/{text}")
                person.post(f"/api/vip/payments/{text}/callback")
                person.client.post("/api/social/like", data=f'{{"{text}', content_type="application/json")
                person.client.post("/api/social/like", data={"x": text * 9_000})
                person.client.put(f"/api/user/profile?phonenum={text}")
                person.client.get("/api/user/profile", headers={"X-Request-Id": text, "Accept-Language": text})
            person.post("/api/social/superlike", sid=number)
            person.client.post("/api/user/avatar/upload", data={"avatar": (io.BytesIO(b"x"), f"{number}.jpg")})
            person.client.post("/api/user/logout", headers={"Origin": f"https://{person.number}.example"})
        for victim in (self.ada, self.bob):
            # Eve tries what they know of others; the answers must not confirm it.
            for path in ("/api/user/verify", "/api/user/login"):
                self.eve.post(path, phonenum=victim.phone, vcode="111111")
            self.eve.post("/api/social/like", sid=victim.number)
            self.eve.get(f"/api/user/{victim.number}")

    def break_down(self) -> None:
        """What the database refuses is logged with a traceback; what nobody foresaw as well."""

        def spoil(_mapper: Any, _connection: Any, user: User) -> None:
            user.nickname = None  # type: ignore[assignment]
            # So that the statement carries them.
            for name in ("phone", "birthday"):
                flag_modified(user, name)

        event.listen(User, "before_update", spoil)
        try:
            for person in self.all:
                assert person.post("/api/user/profile/modify", bio="hello").json["code"] == 1500
        finally:
            event.remove(User, "before_update", spoil)

        def stumble(_mapper: Any, _connection: Any, user: User) -> None:
            raise RuntimeError(f"no luck with {user.phone}, {user.phone[3:]}")

        event.listen(User, "before_update", stumble)
        try:
            assert self.ada.post("/api/user/profile/modify", bio="hello").json["code"] == 1500
        finally:
            event.remove(User, "before_update", stumble)

    def end(self) -> None:
        assert self.ada.client.delete(f"/api/user/photos/{self.photo}").status_code == 200
        assert self.bob.post("/api/user/logout").status_code == 200
        assert self.ada.client.delete("/api/user/account", json={"vcode": self.fresh_code(self.ada)}).status_code == 200
        with self.app.app_context():
            remove_traces(self.ada.id)
        own = ("/api/social/liked_me", "/api/social/liked_me/count", "/api/user/export")
        for path in (f"/api/user/{self.ada.id}", "/api/social/hot", *own):
            self.eve.get(path)
