"""What is left of a deleted account: nothing. What an export shows: everything, of the caller alone."""

import json
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from PIL import Image
from sqlalchemy import event, select, update
from sqlalchemy.exc import OperationalError

from swiper.cache.models import Invalidation
from swiper.clock import now
from swiper.db.transactions import is_in_transaction
from swiper.errors import NotFoundError
from swiper.extensions import db, redis
from swiper.profiles.accounts import delete_account, set_status
from swiper.profiles.models import FileRemoval, Status, Tombstone, User
from swiper.profiles.profiles import account_key
from swiper.signals import account_deleted, status_changed
from swiper.social import deletions
from swiper.vip.models import FlashSale
from swiper.vip.sales import add_sale
from tests.factories import People, Person

# Holds the id until traces of requests that were under way have been swept; the sweep removes it as well.
SWEPT_LATER = {"tombstones", "invalidations"}


def run(runner: FlaskCliRunner, *args: str) -> Any:
    """What `flask` does: the command in an app context."""
    with runner.app.app_context():
        return runner.invoke(args=args)


def picture() -> BytesIO:
    output = BytesIO()
    Image.new("RGB", (40, 30), "red").save(output, "JPEG")
    output.seek(0)
    return output


def open_sale(app: Flask) -> FlashSale:
    with app.app_context():
        return add_sale(
            "sale", level=1, months=1, price_cents=100, stock=5, starts_at=now(), ends_at=now() + timedelta(hours=1)
        )


def live_fully(app: Flask, people: People) -> tuple[Person, list[Person]]:
    """A user who has used everything there is, and the people around them."""
    person = people.log_in("13800138000")
    profile = {"sex": "male", "birthday": "1995-05-20", "location": "上海", "nickname": "Somebody", "bio": "my words"}
    assert person.post("/api/user/profile/modify", **profile).status_code == 200
    order = person.post("/api/vip/orders", level=3, months=2).json["data"]
    assert person.post(order["payment"]["url"].removeprefix("")).status_code == 200
    assert person.post("/api/vip/qbuy", sale_id=str(open_sale(app).id)).status_code == 200
    for field, path in (("avatar", "/api/user/avatar/upload"), ("photo", "/api/user/photos")):
        sent = person.client.post(path, data={field: (picture(), "a.jpg")}, content_type="multipart/form-data")
        assert sent.status_code == 201
    crowd = [people.woman() for _ in range(6)]
    for other in crowd[:2]:
        other.like(person)
    crowd[2].superlike(person)
    crowd[3].dislike(person)
    assert person.like(crowd[0]).json["data"] == {"is_matched": True}
    assert person.like(crowd[1]).status_code == 200
    assert person.superlike(crowd[4]).status_code == 200
    assert person.dislike(crowd[5]).status_code == 200
    assert person.post("/api/social/unfriend", sid=str(crowd[1].id)).status_code == 200
    assert person.post("/api/social/rewind").status_code == 200
    person.deck()
    for path in ("/api/social/hot", "/api/vip/me", "/api/social/liked_me"):
        assert person.get(path).status_code == 200
    for other in crowd:
        other.deck()
        other.get(f"/api/user/{person.id}")
    return person, crowd


def traces_in_tables(app: Flask, person: Person) -> dict[str, int]:
    """By table: rows in which any column holds the user's id or number."""
    found = {}
    with app.app_context(), db.engine.connect() as connection:
        for table in db.metadata.sorted_tables:
            rows = connection.execute(select(table)).all()
            hits = sum(any(str(value) in (str(person.id), person.phone) for value in row) for row in rows)
            if hits:
                found[table.name] = hits
    return found


def traces_in_redis(app: Flask, person: Person) -> list[bytes]:
    """Keys that name the user, or hold the id; Celery's own queue aside, which a worker empties."""
    marks = [str(person.id).encode(), person.phone.encode()]
    found = []
    with app.app_context():
        for key in redis.client.keys("*"):
            if key.startswith((b"celery", b"_kombu", b"unacked")):
                continue
            if any(mark in key or mark in content_of(key) for mark in marks):
                found.append(key)
    return found


def content_of(key: bytes) -> bytes:
    kind = redis.client.type(key)
    if kind == b"zset":
        return b" ".join(redis.client.zrange(key, 0, -1))
    if kind == b"set":
        return b" ".join(redis.client.smembers(key))
    if kind == b"hash":
        return b" ".join(part for pair in redis.client.hgetall(key).items() for part in pair)
    if kind == b"list":
        return b" ".join(redis.client.lrange(key, 0, -1))
    return redis.client.get(key) or b""


def test_deleting_an_account_leaves_no_trace_in_any_table(app: Flask, people: People) -> None:
    person, crowd = live_fully(app, people)
    before = traces_in_tables(app, person)
    assert set(before) >= {
        "users",
        "phones",
        "nicknames",
        "preferences",
        "discovery",
        "uploads",
        "memberships",
        "orders",
        "tickets",
        "quotas",
        "swipes",
        "likes_in",
        "pairs",
        "friends",
    }
    others = {one.id: traces_in_tables(app, one)["users"] for one in crowd}
    assert person.delete_account().json == {"code": 0, "data": {}}
    assert set(traces_in_tables(app, person)) == SWEPT_LATER
    with app.app_context():
        db.session.execute(update(Tombstone).values(deleted_at=now() - timedelta(minutes=5)))
        db.session.commit()
    app.extensions["celery"].tasks["social.sweep_deleted"]()
    with app.app_context():
        db.session.execute(update(Invalidation).values(created_at=now() - timedelta(minutes=5)))
        db.session.commit()
    app.extensions["celery"].tasks["profiles.finish_invalidations"]()
    assert traces_in_tables(app, person) == {}
    assert {one.id: traces_in_tables(app, one)["users"] for one in crowd} == others


def test_a_deletion_that_always_fails_stops_no_other(
    app: Flask, people: People, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = people.add(), people.add()
    for person in (first, second):
        person.delete_account()
    with app.app_context():
        db.session.execute(update(Tombstone).values(deleted_at=now() - timedelta(minutes=5)))
        db.session.execute(
            update(Tombstone).where(Tombstone.uid == first.id).values(deleted_at=now() - timedelta(minutes=6))
        )
        db.session.commit()
    forget = deletions.remove_traces

    def fail(uid: int) -> None:
        if uid == first.id:
            raise ValueError("always")
        forget(uid)

    monkeypatch.setattr(deletions, "remove_traces", fail)
    app.extensions["celery"].tasks["social.sweep_deleted"]()
    with app.app_context():
        assert list(db.session.scalars(select(Tombstone.uid))) == [first.id]
    assert any(record.exc_info for record in caplog.records if "sweep_deleted" in record.message)
    monkeypatch.undo()
    app.extensions["celery"].tasks["social.sweep_deleted"]()
    with app.app_context():
        assert list(db.session.scalars(select(Tombstone.uid))) == []


def test_deleting_an_account_leaves_no_trace_in_redis(app: Flask, people: People) -> None:
    person, _ = live_fully(app, people)
    before = traces_in_redis(app, person)
    own = f"{{u:{person.id}}}:".encode()
    assert {own + b"sessions", own + b"deck", b"{ranking}"} <= set(before)
    person.delete_account()
    left = traces_in_redis(app, person)
    # What runs out by itself: the count of the last hour's uploads, the mark that keeps slow readers from caching the
    # account, and the bare id in lists that others walk through today, which the deck checks before it shows anybody.
    passing = (b":deck", f"{account_key(person.id)}:mark".encode())
    assert all(key.startswith(b"LIMITS:") or key.endswith(passing) for key in left)
    assert own + b"deck" not in left
    with app.app_context():
        assert all(0 < redis.client.ttl(key) <= 86_400 for key in left)


def test_a_deleted_account_s_files_are_removed(app: Flask, people: People) -> None:
    person, _ = live_fully(app, people)
    urls = [person.get("/api/user/profile").json["data"]["avatar"]]
    urls += [photo["url"] for photo in person.get("/api/user/profile").json["data"]["photos"]]
    files = [app.config["MEDIA_DIR"] / url.removeprefix("/media/") for url in urls]
    assert len(files) == 2
    assert all(file.exists() for file in files)
    person.delete_account()
    with app.app_context():
        db.session.execute(update(FileRemoval).values(created_at=now() - timedelta(minutes=5)))
        db.session.commit()
    app.extensions["celery"].tasks["profiles.sweep_files"]()
    assert not any(file.exists() for file in files)


def test_nobody_meets_a_deleted_account_any_more(app: Flask, people: People) -> None:
    person, crowd = live_fully(app, people)
    person.delete_account()
    friend, stranger = crowd[0], crowd[4]
    assert friend.friends() == []
    assert stranger.get(f"/api/user/{person.id}").json["code"] == 1009
    assert stranger.like(person).json["code"] == 1009
    for viewer in crowd:
        assert person.id not in viewer.deck()
    assert str(person.id) not in stranger.get("/api/social/hot").get_data(as_text=True)
    liked_me = people.woman(vip=3).get("/api/social/liked_me")
    assert str(person.id) not in liked_me.get_data(as_text=True)


def test_the_number_of_a_deleted_account_makes_a_fresh_one(app: Flask, people: People) -> None:
    person, _ = live_fully(app, people)
    person.delete_account()
    with app.app_context():
        for key in redis.client.keys("{p:*}:lock"):
            redis.client.delete(key)
    fresh = people.log_in("13800138000")
    assert fresh.id != person.id
    profile = fresh.get("/api/user/profile").json["data"]
    assert profile["bio"] == ""
    assert profile["photos"] == []
    assert profile["vip"]["level"] == 0
    assert fresh.post("/api/user/profile/modify", nickname="Somebody").status_code == 200


def test_a_code_that_waits_is_not_sent_to_somebody_who_left(app: Flask, people: People) -> None:
    person = people.log_in("13800138000")
    with app.app_context():
        for key in redis.client.keys("{p:*}:lock"):
            redis.client.delete(key)
    app.test_client().post("/api/user/verify", json={"phonenum": "13800138000"})
    with app.app_context():
        delete_account(person.id)
    assert "sms_outbox" not in traces_in_tables(app, person)


def test_an_account_is_deleted_once(people: People) -> None:
    person = people.add()
    twin = people.client_of(person.id)
    assert person.delete_account().status_code == 200
    assert twin.delete("/api/user/account").status_code == 401


def test_a_deletion_that_the_database_fails_changes_nothing(app: Flask, people: People) -> None:
    person, _ = live_fully(app, people)
    before = traces_in_tables(app, person)

    def fail(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("DELETE FROM users"):
            raise OperationalError(statement, {}, Exception("the server went away"))

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", fail)
    try:
        assert person.delete_account().json["code"] == 1011
    finally:
        event.remove(engine, "before_cursor_execute", fail)
    assert traces_in_tables(app, person) == before
    assert person.get("/api/user/profile").status_code == 200


def test_the_signal_tells_the_id_after_the_commit(app: Flask, people: People) -> None:
    person = people.add()
    heard: list[Any] = []

    def listen(_sender: Any, uid: int) -> None:
        heard.append((uid, db.session.get(User, uid)))

    with account_deleted.connected_to(listen):
        person.delete_account()
    assert heard == [(person.id, None)]


def test_higher_layers_hear_of_a_suspension_and_its_end_within_the_transaction(app: Flask, people: People) -> None:
    person = people.add()
    heard: list[Any] = []

    def listen(_sender: Any, uid: int) -> None:
        heard.append((uid, db.session.get_one(User, uid, populate_existing=True).status, is_in_transaction()))

    with app.app_context(), status_changed.connected_to(listen):
        set_status(person.id, Status.SUSPENDED)
        set_status(person.id, Status.ACTIVE)
        with pytest.raises(NotFoundError):
            set_status(1, Status.SUSPENDED)
    assert heard == [(person.id, Status.SUSPENDED, True), (person.id, Status.ACTIVE, True)]


def test_an_export_has_everything_of_the_caller(app: Flask, people: People) -> None:
    person, crowd = live_fully(app, people)
    answer = person.export()
    data = answer.json["data"]
    [account] = data["account"]
    assert account["id"] == str(person.id)
    assert account["phone"] == person.phone
    assert account["birthday"] == "1995-05-20"
    assert account["bio"] == "my words"
    assert data["preferences"][0]["max_dating_age"] == 45
    assert {row["kind"] for row in data["uploads"]} == {"avatar", "photo"}
    assert data["membership"][0]["level"] == 3
    assert [row["amount_cents"] for row in data["orders"]] == [3000]
    assert [row["state"] for row in data["tickets"]] == ["queued"]
    assert {row["kind"] for row in data["quotas"]} >= {"superlike", "rewind"}
    assert {row["sid"] for row in data["swipes"]} == {str(crowd[index].id) for index in (0, 1, 4)}
    assert len(data["friends"]) == 1
    assert data["open_sessions"] == 1


def test_an_export_tells_nothing_of_other_people(app: Flask, people: People) -> None:
    person, crowd = live_fully(app, people)
    text = person.export().get_data(as_text=True)
    for other in crowd:
        profile = other.get("/api/user/profile").json["data"]
        assert other.phone not in text
        assert profile["nickname"] not in text
    # Who liked or passed the caller by, unanswered, is told by a paid permission or not at all.
    assert str(crowd[2].id) not in text
    assert str(crowd[3].id) not in text
    assert str(person.id) not in json.dumps(crowd[3].export().json["data"]["account"])


def test_two_exports_do_not_mix(people: People) -> None:
    first, second = people.add(bio="first words"), people.add(bio="second words")
    assert "second words" not in first.export().get_data(as_text=True)
    assert "second words" in second.export().get_data(as_text=True)


def test_an_operator_suspends_and_admits_by_phone(runner: FlaskCliRunner, people: People) -> None:
    person, viewer = people.log_in("13800138000"), people.woman()
    person.post("/api/user/profile/modify", sex="male", birthday="1995-05-20", location="上海")
    assert viewer.get(f"/api/user/{person.id}").status_code == 200
    assert viewer.deck() == [person.id]
    result = run(runner, "suspend", "138 0013 8000")
    assert result.exit_code == 0, result.output
    assert people.client_of(person.id).get("/api/user/profile").json["code"] == 1010
    assert viewer.get(f"/api/user/{person.id}").json["code"] == 1009
    assert viewer.deck() == []
    assert run(runner, "unsuspend", "13800138000").exit_code == 0
    assert people.client_of(person.id).get("/api/user/profile").status_code == 200
    assert viewer.deck() == [person.id]


@pytest.mark.parametrize("phone", ["13900139000", "not a number", "010-62551111"])
def test_suspending_nobody_is_told_in_one_sentence(runner: FlaskCliRunner, people: People, phone: str) -> None:
    people.add()
    result = run(runner, "suspend", phone)
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert "Traceback" not in result.output


def test_a_deletion_frees_the_city_and_the_name_that_the_account_had_last(app: Flask, people: People) -> None:
    person, next_one = people.woman(), people.woman()
    changes = {"nickname": "ＭＡＲＹ Ann", "location": "北京"}
    assert person.post("/api/user/profile/modify", **changes).status_code == 200
    assert next_one.post("/api/user/profile/modify", nickname="mary ann").status_code == 422
    assert person.delete_account().status_code == 200
    assert set(traces_in_tables(app, person)) <= SWEPT_LATER
    assert next_one.post("/api/user/profile/modify", nickname="mary ann").status_code == 200
