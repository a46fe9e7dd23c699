"""The operator's commands."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import delete, func, select, update

from config.settings import ROOT
from swiper.extensions import db, redis
from swiper.profiles.models import Status, User
from swiper.social import ranking, ranking_rebuild
from swiper.tasks.queue import only_one
from swiper.vip.models import FlashSale, LevelPermission, VipLevel, VipPermission
from tests.factories import Clock, People

NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)


def run(runner: FlaskCliRunner, *args: str) -> Result:
    return runner.invoke(args=list(args))


def count(app: Flask, model: Any) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def refused(result: Result, text: str) -> None:
    """One sentence, no traceback."""
    assert result.exit_code == 1
    assert text in result.output
    assert "Traceback" not in result.output


# Levels.


def test_seed_vip_fills_an_empty_database_once(runner: FlaskCliRunner, app: Flask) -> None:
    with app.app_context():
        for model in (LevelPermission, VipLevel, VipPermission):
            db.session.execute(delete(model))
        db.session.commit()
    for _ in range(2):
        assert run(runner, "seed-vip").exit_code == 0
        assert [count(app, model) for model in (VipLevel, VipPermission, LevelPermission)] == [4, 6, 11]


def test_seed_vip_keeps_an_operators_changes(runner: FlaskCliRunner, app: Flask) -> None:
    with app.app_context():
        db.session.execute(update(VipLevel).where(VipLevel.level == 1).values(price_cents=1, name="Bronze"))
        db.session.execute(delete(LevelPermission).where(LevelPermission.permission == "vipflag"))
        db.session.commit()
    assert run(runner, "seed-vip").exit_code == 0
    data = app.test_client().get("/api/vip/levels").json["data"]
    assert data[1] == {"level": 1, "name": "Bronze", "price": 0.01, "permissions": ["superlike"]}


# Robots.


def test_seed_robots_shows_a_bar_and_adds_more_each_time(runner: FlaskCliRunner, app: Flask) -> None:
    assert "robots" in run(runner, "seed-robots", "30", "--seed", "1").output
    assert run(runner, "seed-robots", "12").exit_code == 0
    assert count(app, User) == 42


@pytest.mark.parametrize("number", ["0", "-1", "x", "900000002"])
def test_seed_robots_refuses_a_number_that_makes_no_sense(number: str, runner: FlaskCliRunner, app: Flask) -> None:
    result = run(runner, "seed-robots", "--", number)
    assert result.exit_code != 0
    assert "Traceback" not in result.output
    assert count(app, User) == 0


# Bans.


def test_a_ban_is_set_listed_and_lifted(runner: FlaskCliRunner, client: FlaskClient) -> None:
    assert client.get("/api/vip/levels").status_code == 200
    assert run(runner, "ban-ip", "127.0.0.0/8", "--reason", "noise").output == "127.0.0.0/8 is banned.\n"
    answer = client.get("/api/vip/levels")
    assert (answer.status_code, answer.json["code"]) == (403, 1010)
    assert run(runner, "list-bans").output == "127.0.0.0/8\tfor good\tnoise\n"
    assert run(runner, "unban-ip", "127.0.0.0/8").exit_code == 0
    assert client.get("/api/vip/levels").status_code == 200
    assert run(runner, "list-bans").output == ""
    refused(run(runner, "unban-ip", "127.0.0.0/8"), "was not banned")


def test_a_ban_for_some_hours_ends_by_itself(runner: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, NOON)
    run(runner, "ban-ip", "203.0.113.7", "--hours", "1.5")
    assert run(runner, "list-bans").output == "203.0.113.7/32\t2026-03-10T05:30:00+00:00\t\n"
    clock.advance(hours=1.5)
    assert run(runner, "list-bans").output == ""


def test_a_ban_set_again_replaces_reason_and_end(runner: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, NOON)
    run(runner, "ban-ip", "2001:db8::/32", "--reason", "first", "--hours", "1")
    run(runner, "ban-ip", "2001:0db8::/32", "--reason", "second")
    assert run(runner, "list-bans").output == "2001:db8::/32\tfor good\tsecond\n"


@pytest.mark.parametrize("command", ["ban-ip", "unban-ip"])
@pytest.mark.parametrize("text", ["somewhere", "300.1.1.1", "10.0.0.0/40", ""])
def test_what_is_no_address_is_refused(command: str, text: str, runner: FlaskCliRunner) -> None:
    refused(run(runner, command, text), "neither an address nor a network")


@pytest.mark.parametrize("hours", ["0", "-1", "soon"])
def test_a_ban_of_no_hours_is_refused(hours: str, runner: FlaskCliRunner) -> None:
    assert run(runner, "ban-ip", "203.0.113.7", "--hours", hours).exit_code == 2
    assert run(runner, "list-bans").output == ""


# Accounts.


def test_a_suspended_account_is_locked_out_and_hidden_until_it_is_admitted_again(
    runner: FlaskCliRunner, people: People
) -> None:
    man, woman = people.add(), people.woman()
    assert run(runner, "suspend", woman.phone).exit_code == 0
    assert woman.get("/api/user/profile").status_code in (401, 403)
    assert man.deck() == []
    assert man.like(woman).status_code == 404
    assert run(runner, "unsuspend", woman.phone.removeprefix("+86")).exit_code == 0
    # Its sessions have ended.
    assert woman.get("/api/user/profile").status_code == 401
    assert man.deck() == [woman.id]


@pytest.mark.parametrize("command", ["suspend", "unsuspend"])
def test_suspend_knows_no_stranger_and_no_nonsense(command: str, runner: FlaskCliRunner) -> None:
    refused(run(runner, command, "13912345678"), "Not found.")
    refused(run(runner, command, "nobody"), "Not a valid phone number.")


def test_correct_profile_sets_sex_and_birthday_beyond_the_own_correction(
    runner: FlaskCliRunner, people: People
) -> None:
    person = people.add()
    for sex in ("female", "male", "female"):
        assert run(runner, "correct-profile", person.phone, "--sex", sex).output == "The profile is corrected.\n"
        assert person.get("/api/user/profile").json["data"]["sex"] == sex
    assert run(runner, "correct-profile", person.phone, "--birthday", "1990-02-28").exit_code == 0
    profile = person.get("/api/user/profile").json["data"]
    assert (profile["sex"], profile["birthday"]) == ("female", "1990-02-28")
    refused(
        run(runner, "correct-profile", person.phone, "--birthday", "2020-02-28"), "You must be 18 to 100 years old."
    )
    refused(run(runner, "correct-profile", "13912345678", "--sex", "male"), "Not found.")
    for wrong in ((), ("--sex", "any"), ("--birthday", "1990-02-30")):
        assert run(runner, "correct-profile", person.phone, *wrong).exit_code == 2


# Sales.


def test_add_sale_prints_the_id_of_an_open_sale(runner: FlaskCliRunner, people: People, app: Flask) -> None:
    result = run(runner, "add-sale", "春节", "--level", "3", "--months", "12", "--price", "99.9", "--stock", "100")
    (sale,) = people.add().get("/api/vip/sales").json["data"]
    assert result.output.strip() == sale["id"]
    assert sale | {"starts_at": 0, "ends_at": 0} == {
        "id": sale["id"],
        "name": "春节",
        "level": 3,
        "months": 12,
        "price": 99.9,
        "stock": 100,
        "left": 100,
        "starts_at": 0,
        "ends_at": 0,
    }
    assert people.add().post("/api/vip/qbuy", sale_id=sale["id"]).status_code == 200


def test_add_sale_takes_a_window(runner: FlaskCliRunner, app: Flask) -> None:
    window = ("--starts", "2030-01-02T03:04:05", "--hours", "0.5")
    run(runner, "add-sale", "x", "--level", "1", "--price", "0.01", "--stock", "1", *window)
    with app.app_context():
        sale = db.session.scalars(select(FlashSale)).one()
        assert sale.starts_at == datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
        assert sale.ends_at - sale.starts_at == timedelta(minutes=30)


WRONG_NUMBERS = ("nan", "inf", "-inf", "-1", "0", "", "x", "1e400", "9" * 400)
WRONG_SALES = [
    *[("--price", price) for price in (*WRONG_NUMBERS, "0.005", "1_0", "0.00", "9.999", "1e2", "+1", "10000000", "１")],
    *[("--hours", hours) for hours in (*WRONG_NUMBERS, "1e18", "876601")],
    *[("--level", level) for level in ("7", "0", "-1", "9" * 30)],
    *[("--stock", stock) for stock in ("0", "-5", "9" * 30, "10000001")],
    *[("--months", months) for months in ("0", "37", "9" * 30, "1.5")],
    *[("--starts", moment) for moment in ("9999-12-31", "0001-01-01", "1999-12-31", "yesterday")],
]


@pytest.mark.parametrize("wrong", WRONG_SALES, ids=lambda wrong: " ".join(wrong)[:30])
def test_add_sale_refuses_what_makes_no_sense(wrong: tuple[str, str], runner: FlaskCliRunner, app: Flask) -> None:
    right = {"--level": "1", "--price": "5", "--stock": "1"}
    options = [part for pair in (right | dict([wrong])).items() for part in pair]
    result = run(runner, "add-sale", "x", *options)
    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    assert count(app, FlashSale) == 0


@pytest.mark.parametrize("name", ["", "   ", "x" * 100, "\u200b"], ids=repr)
def test_add_sale_refuses_a_name_that_nobody_could_read(name: str, runner: FlaskCliRunner, app: Flask) -> None:
    result = run(runner, "add-sale", name, "--level", "1", "--price", "5", "--stock", "1")
    assert (result.exit_code, isinstance(result.exception, SystemExit)) == (1, True)
    assert result.output.startswith("Error: ")
    assert count(app, FlashSale) == 0


@pytest.mark.parametrize("hours", [*WRONG_NUMBERS, "1e18", "1e300"])
def test_a_ban_for_no_number_of_hours_is_refused(hours: str, runner: FlaskCliRunner, app: Flask) -> None:
    result = run(runner, "ban-ip", "203.0.113.7", "--hours", hours)
    assert (result.exit_code, isinstance(result.exception, SystemExit)) == (2, True)
    assert run(runner, "list-bans").output == ""


# The ranking.


def test_rebuild_ranking_fills_what_redis_has_lost_and_says_how_many(
    runner: FlaskCliRunner, app: Flask, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking_rebuild, "SETTLE_SECONDS", 0)
    man, women = people.add(), [people.woman(), people.woman()]
    for woman in women:
        man.like(woman)
    with app.app_context():
        redis.client.flushdb()
    result = run(runner, "rebuild-ranking")
    assert (result.exit_code, result.output) == (0, "The ranking is rebuilt: 2 people are in it.\n")
    with app.app_context():
        assert redis.client.zcard(ranking.KEY) == 2


def test_rebuild_ranking_is_refused_while_another_process_rebuilds(runner: FlaskCliRunner, app: Flask) -> None:
    with app.app_context(), only_one("rebuild_ranking"):
        refused(run(runner, "rebuild-ranking"), "Another process rebuilds the ranking")


# The rest.


def test_every_command_explains_itself(runner: FlaskCliRunner, app: Flask) -> None:
    wanted = {
        "seed-vip",
        "seed-robots",
        "ban-ip",
        "unban-ip",
        "list-bans",
        "suspend",
        "unsuspend",
        "add-sale",
        "check",
        "db",
    } | {"correct-profile"}
    assert wanted <= set(app.cli.commands)
    for name in wanted - {"db"}:
        assert app.cli.commands[name].help
        assert run(runner, name, "--help").exit_code == 0


def test_the_shell_has_app_db_and_models_at_hand(app: Flask) -> None:
    with app.app_context():
        names = app.make_shell_context()
        assert names["app"] is app
        assert names["db"] is db
        assert names["redis"] is redis.client
    assert names["User"] is User
    assert {"Preferences", "Swipe", "LikeIn", "Pair", "Friend", "VipLevel", "Membership", "Order"} <= set(names)


def test_the_flask_command_finds_the_app_by_itself() -> None:
    assert "FLASK_APP=wsgi" in Path(ROOT / ".flaskenv").read_text()


@pytest.mark.parametrize("spelled", ["\u202d+86 138\u20130000\u20130000\u202c", "tel:13800000000", "(+86)١٣٨٠٠٠٠٠٠٠٠"])
def test_commands_read_a_number_however_it_is_pasted(
    runner: FlaskCliRunner, app: Flask, people: People, spelled: str
) -> None:
    assert people.add().phone == "+8613800000000"
    assert runner.invoke(args=["suspend", spelled]).exit_code == 0
    assert runner.invoke(args=["unsuspend", spelled]).exit_code == 0
    assert runner.invoke(args=["grant-operator", spelled]).exit_code == 0
    assert runner.invoke(args=["revoke-operator", spelled]).exit_code == 0


def test_a_number_that_can_be_two_is_refused_by_a_command_in_one_sentence(runner: FlaskCliRunner) -> None:
    refused = runner.invoke(args=["suspend", " 16502530000"])
    assert refused.exit_code == 1
    assert "%2B" in refused.output


def test_a_robot_can_be_suspended(runner: FlaskCliRunner, app: Flask) -> None:
    assert runner.invoke(args=["seed-robots", "1"]).exit_code == 0
    assert runner.invoke(args=["suspend", "210 0000\u200e0000"]).exit_code == 0
    with app.app_context():
        assert db.session.scalars(select(User.status)).one() is Status.SUSPENDED
    assert runner.invoke(args=["suspend", "21000000001"]).exit_code == 1
