"""Commands of the operator that cannot be carried out: one sentence, an exit code, and no traceback."""

import itertools
from collections.abc import Callable
from typing import Any

import click
import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy.exc import IntegrityError

from config.settings import Settings
from swiper import cli, create_app
from swiper.commands import sentence_for
from swiper.errors import ParamError
from swiper.extensions import db

POSTGRES_AWAY = "postgresql+psycopg://nobody@127.0.0.1:1/none"
MARIADB_AWAY = "mysql+pymysql://nobody@127.0.0.1:1/none?charset=utf8mb4"
# Something that each type of argument takes, to get as far as the database.
GOOD: dict[str, str] = {
    "count": "1",
    "network": "203.0.113.7",
    "phone": "13800138000",
    "name": "x",
    "level": "1",
    "price": "5",
    "stock": "1",
    "sex": "female",
}
# `distribute` and `partition` ask PostgreSQL alone. `check` tells each fault in its own line (tests/test_check.py).
PLAIN = [command for command in cli.COMMANDS if command is not cli.check.check_command]
FOR_POSTGRES = (cli.setup.distribute_command, cli.setup.partition_command)
ON_SQLITE = [command for command in PLAIN if command not in FOR_POSTGRES]
# Left out they leave nothing to do.
NEEDED = {"sex"}
WORDS = [
    "",
    " ",
    "x",
    "null",
    "nan",
    "\udcff\udcfe",
    "\ud800",
    "'; drop table users",
    "é" * 5000,
    "9" * 400,
    "-1",
    "%s",
    "{}",
]
NUMBERS = ["", "x", "0", "-1", "1.5", "nan", "inf", "-inf", "1e400", "9" * 30, str(2**63), "\udcff", "１０", "0x10"]
DATES = ["", "x", "2026-02-30", "0001-01-01", "9999-12-31T23:59:59", "10000-01-01", "2026-01-01T25:00:00", "\udcff"]


def arguments(command: click.Command, changed: str = "", value: str = "") -> list[str]:
    """What a command needs, with one parameter of one's own."""
    options, plain = [], []
    for param in command.params:
        name = str(param.name)
        given = value if name == changed else GOOD.get(name)
        if given is None or (not param.required and name not in {changed, *NEEDED}):
            continue
        if isinstance(param, click.Option):
            options += [f"{param.opts[0]}={given}"]
        else:
            plain.append(given)
    return [str(command.name), *options, "--", *plain]


def values_for(param: click.Parameter) -> list[str]:
    if isinstance(param.type, click.DateTime):
        return DATES
    return WORDS if param.type is click.STRING else NUMBERS


WRONG = [
    (command, str(param.name), value)
    for command in cli.COMMANDS
    for param in command.params
    for value in values_for(param)
    # A right number of robots would be made.
    if value != "１０" or param.name != "count"
]


def told(result: Result) -> None:
    """Carried out, or refused in one sentence behind the usage that click prints."""
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    if result.exit_code:
        assert result.output.splitlines()[-1].startswith("Error: "), result.output
        assert len(result.output.splitlines()) <= 4


def away(result: Result, text: str) -> None:
    told(result)
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == f"Error: {text}"


@pytest.mark.parametrize(("command", "name", "value"), WRONG, ids=lambda part: ascii(getattr(part, "name", part))[:30])
def test_no_argument_gives_a_traceback(runner: FlaskCliRunner, command: click.Command, name: str, value: str) -> None:
    told(runner.invoke(args=arguments(command, name, value)))


@pytest.mark.parametrize("command", cli.COMMANDS, ids=lambda command: str(command.name))
def test_a_missing_or_unknown_argument_is_named(runner: FlaskCliRunner, command: click.Command) -> None:
    result = runner.invoke(args=[str(command.name), "--no-such-option"])
    told(result)
    assert result.exit_code == 2
    if any(param.required for param in command.params):
        result = runner.invoke(args=[str(command.name)])
        told(result)
        assert result.exit_code == 2


@pytest.mark.parametrize("command", ON_SQLITE, ids=lambda command: str(command.name))
def test_a_database_without_tables_is_told_with_what_to_do(
    make_app: Callable[..., Flask], tmp_path: Any, command: click.Command
) -> None:
    app = make_app(database_url=f"sqlite:///{tmp_path / 'empty.db'}", cache_type="null")
    result = app.test_cli_runner().invoke(args=arguments(command))
    away(result, "The database is not up to date; run `flask db upgrade` first.")


@pytest.mark.parametrize(
    ("command", "url"),
    [
        *itertools.product(ON_SQLITE, (POSTGRES_AWAY, MARIADB_AWAY, "sqlite:////nonexistent/folder/swiper.db")),
        *itertools.product(FOR_POSTGRES, [POSTGRES_AWAY]),
    ],
    ids=lambda part: str(getattr(part, "name", part)),
)
def test_a_database_that_is_away_is_told(make_app: Callable[..., Flask], command: click.Command, url: str) -> None:
    app = make_app(database_url=url, cache_type="null")
    away(app.test_cli_runner().invoke(args=arguments(command)), "The database does not answer; try again later.")


@pytest.mark.parametrize("args", [("upgrade",), ("downgrade",), ("current",), ("check",)])
def test_migrations_of_a_database_that_is_away_tell_it_too(
    make_app: Callable[..., Flask], args: tuple[str, ...]
) -> None:
    app = make_app(database_url=POSTGRES_AWAY, cache_type="null")
    result = app.test_cli_runner().invoke(args=["db", *args])
    away(result, "The database does not answer; try again later.")


def test_redis_that_is_away_is_told(make_app: Callable[..., Flask]) -> None:
    app = make_app(redis_url="unix:///nonexistent/redis.sock", cache_type="null")
    for command in PLAIN:
        told(app.test_cli_runner().invoke(args=arguments(command)))


def test_every_command_of_ours_tells_it_in_this_way(settings: Settings, app: Flask) -> None:
    ours = {
        name
        for name, each in app.cli.commands.items()
        if each.callback and each.callback.__module__.startswith("swiper.cli")
    }
    assert ours == {command.name for command in cli.COMMANDS}
    group = create_app(settings).cli.commands["db"]
    assert isinstance(group, click.Group)
    assert all(hasattr(each.callback, "tells_in_one_sentence") for each in group.commands.values())


@pytest.mark.usefixtures("context")
def test_a_fault_of_ours_keeps_its_traceback() -> None:
    assert sentence_for(ValueError("ours")) is None
    assert sentence_for(IntegrityError("", {}, Exception())) is None
    assert sentence_for(OverflowError()) == "An argument is out of range."
    assert sentence_for(ParamError(errors={"until": ["Out of range."]})) == (
        "A parameter is missing or wrong. until: Out of range."
    )
    db.session.remove()
