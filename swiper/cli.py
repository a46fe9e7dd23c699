"""The operator's commands: `flask seed-vip`, `seed-robots`, `ban-ip` and the others."""

from datetime import datetime, timedelta
from typing import Any

import click
from flask import Flask
from flask.cli import with_appcontext

from swiper import commands
from swiper.admin import changes
from swiper.auth.login import find_by_phone
from swiper.bans.services import list_bans
from swiper.characters import simplify
from swiper.clock import now
from swiper.commands import Number, command
from swiper.db.distribution import DistributionError, distribute, statements_for
from swiper.errors import NotFoundError, ParamError
from swiper.extensions import db, redis
from swiper.logs import mask
from swiper.profiles.models import Preferences, Sex, User
from swiper.profiles.operators import list_operators
from swiper.robots.seeding import is_robot_phone, seed_robots
from swiper.sms.phone_numbers import parse_phone
from swiper.social.models import Friend, LikeIn, Pair, Swipe
from swiper.vip.levels import find_level, seed_levels
from swiper.vip.models import FlashSale, Membership, Order, VipLevel
from swiper.vip.money import parse_yuan

# A hundred years; a little beyond, dates end.
HOURS = Number(min=0, max=876_000, min_open=True)


class Yuan(click.ParamType[int]):
    """An amount of money with at most two decimals, read as cents."""

    name = "yuan"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The cents."""
        try:
            return parse_yuan(str(value))
        except ValueError:
            self.fail(f"{value!r} is no amount of yuan with at most two decimals.", param, ctx)


YUAN = Yuan()


def _after(start: datetime, hours: float) -> datetime:
    try:
        return start + timedelta(hours=hours)
    except OverflowError as error:
        raise ParamError("The end is too far ahead.") from error


@command("seed-vip")
@with_appcontext
def seed_vip() -> None:
    """Insert the VIP levels and permissions that are missing."""
    seed_levels()
    click.echo("VIP levels are in place.")


@command("seed-robots")
@click.argument("count", type=click.IntRange(min=1))
@click.option("--seed", type=int, help="The same seed gives the same people.")
@with_appcontext
def seed_robots_command(count: int, seed: int | None) -> None:
    """Add COUNT robots; running it again adds more."""
    try:
        with click.progressbar(length=count, label="robots") as bar:
            seed_robots(count, seed, progress=bar.update)
    except ValueError as error:
        raise click.ClickException(str(error)) from error


@command("ban-ip")
@click.argument("network")
@click.option("--reason", default="", help="For the operators' own memory.")
@click.option("--hours", type=HOURS, help="How long; for good when left out.")
@with_appcontext
def ban_ip(network: str, reason: str, hours: float | None) -> None:
    """Refuse an address or a network such as 203.0.113.0/24."""
    banned = changes.ban(None, network, reason, _after(now(), hours) if hours else None)
    click.echo(f"{banned} is banned.")


@command("unban-ip")
@click.argument("network")
@with_appcontext
def unban_ip(network: str) -> None:
    """Lift the ban of exactly this address or network."""
    if not changes.lift_ban(None, network):
        raise click.ClickException(f"{network} was not banned.")
    click.echo(f"{network} is free.")


@command("list-bans")
@with_appcontext
def list_bans_command() -> None:
    """Show the bans in force."""
    for ban in list_bans():
        until = ban.expires_at.isoformat() if ban.expires_at else "for good"
        click.echo(f"{ban.network}\t{until}\t{ban.reason}")


def _find(phone: str) -> int:
    # Robots' numbers are none that could be parsed.
    plain = simplify(phone).replace(" ", "")
    return find_by_phone(plain if is_robot_phone(plain) else parse_phone(phone))


@command("suspend")
@click.argument("phone")
@with_appcontext
def suspend(phone: str) -> None:
    """Lock the account of PHONE out and hide it from everybody."""
    changes.suspend(None, _find(phone), "", None)
    click.echo("The account is suspended.")


@command("unsuspend")
@click.argument("phone")
@with_appcontext
def unsuspend(phone: str) -> None:
    """Admit the account of PHONE again, or lift the suspension that the number of a deleted account has kept."""
    try:
        changes.resume(None, _find(phone))
    except NotFoundError:
        changes.resume_deleted(None, parse_phone(phone))
    click.echo("The account is active.")


@command("correct-profile")
@click.argument("phone")
@click.option("--sex", type=click.Choice([sex.value for sex in Sex]))
@click.option("--birthday", type=click.DateTime(["%Y-%m-%d"]))
@with_appcontext
def correct_profile(phone: str, sex: str | None, birthday: datetime | None) -> None:
    """Set sex and birthday of PHONE, which people may correct themselves only once."""
    if sex is None and birthday is None:
        raise click.UsageError("Name what is to be corrected: --sex, --birthday or both.")
    changes.correct_profile(None, _find(phone), Sex(sex) if sex else None, birthday.date() if birthday else None)
    click.echo("The profile is corrected.")


@command("grant-operator")
@click.argument("phone")
@with_appcontext
def grant_operator(phone: str) -> None:
    """Let the person with PHONE use the operator's desk."""
    try:
        is_new = changes.grant_role(None, phone)
    except NotFoundError as error:
        raise click.ClickException("Nobody has this number; its owner has to log in once first.") from error
    click.echo("The role is granted." if is_new else "This person is an operator already.")


@command("revoke-operator")
@click.argument("phone")
@with_appcontext
def revoke_operator(phone: str) -> None:
    """Take the operator's desk from the person with PHONE."""
    try:
        was_held = changes.revoke_role(None, phone)
    except NotFoundError as error:
        raise click.ClickException("Nobody has this number.") from error
    if not was_held:
        raise click.ClickException("This person is no operator.")
    click.echo("The role is revoked.")


@command("reset-second-factor")
@click.argument("phone")
@with_appcontext
def reset_second_factor(phone: str) -> None:
    """Let the operator with PHONE set up a new authenticator at the desk."""
    if not changes.reset_second_factor(None, phone):
        raise click.ClickException("This person has no authenticator.")
    click.echo("The authenticator is forgotten; the desk asks for a new one.")


@command("list-operators")
@with_appcontext
def list_operators_command() -> None:
    """Show who may use the operator's desk, phones masked."""
    for operator, user in list_operators():
        click.echo(f"{user.id}\t{mask(user.phone)}\t{user.nickname}\t{operator.granted_at.isoformat()}")


@command("add-sale")
@click.argument("name")
@click.option("--level", type=click.IntRange(1, 100), required=True)
@click.option("--months", type=click.IntRange(1, 36), default=1, show_default=True)
@click.option("--price", type=YUAN, required=True, help="Yuan for the whole period, such as 9.90.")
@click.option("--stock", type=click.IntRange(min=1), required=True)
@click.option("--starts", type=click.DateTime(), help="In UTC; now when left out.")
@click.option("--hours", type=HOURS, default=24.0, show_default=True)
@with_appcontext
def add_sale_command(
    name: str, level: int, months: int, price: int, stock: int, starts: datetime | None, hours: float
) -> None:
    """Set up a flash sale of VIP memberships and print its id."""
    if not find_level(level).permissions:
        raise click.ClickException(f"There is no VIP level {level}; run flask seed-vip first.")
    starts_at = starts.replace(tzinfo=now().tzinfo) if starts else now()
    sale = changes.add_sale(
        None,
        name,
        level=level,
        months=months,
        price_cents=price,
        stock=stock,
        starts_at=starts_at,
        ends_at=_after(starts_at, hours),
    )
    click.echo(str(sale.id))


@command("distribute")
@click.option("--dry-run", is_flag=True, help="Print the statements for all tables, on any database, and run none.")
@with_appcontext
def distribute_command(dry_run: bool) -> None:
    """Spread the tables over the machines of a Citus cluster; those that are distributed already stay as they are."""
    if dry_run:
        click.echo(";\n".join([*statements_for(db.metadata), ""]), nl=False)
        return
    try:
        statements = distribute(db.engine, db.metadata)
    except DistributionError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{len(statements)} tables are distributed, {len(db.metadata.tables) - len(statements)} were before.")


COMMANDS = (
    seed_vip,
    seed_robots_command,
    ban_ip,
    unban_ip,
    list_bans_command,
    suspend,
    unsuspend,
    correct_profile,
    grant_operator,
    revoke_operator,
    reset_second_factor,
    list_operators_command,
    add_sale_command,
    distribute_command,
)
SHELL_MODELS = (User, Preferences, Swipe, LikeIn, Pair, Friend, VipLevel, Membership, Order, FlashSale)


def init_app(app: Flask) -> None:
    """Register the commands, and what `flask shell` has at hand."""
    for each in COMMANDS:
        app.cli.add_command(each)
    commands.init_app(app)

    def shell_context() -> dict[str, Any]:
        return {"db": db, "redis": redis.client} | {model.__name__: model for model in SHELL_MODELS}

    app.shell_context_processor(shell_context)
