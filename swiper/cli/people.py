"""The operator's commands about accounts and about who is an operator."""

from datetime import datetime

import click
from flask.cli import with_appcontext

from swiper.admin import changes
from swiper.auth.login import find_by_phone
from swiper.characters import simplify
from swiper.commands import command
from swiper.errors import NotFoundError
from swiper.logs import mask
from swiper.profiles.models import Sex
from swiper.profiles.queries.operators import list_operators
from swiper.robots.seeding import is_robot_phone
from swiper.sms.phone_numbers import parse_phone


def _find(phone: str) -> int:
    # `parse_phone` refuses the numbers of robots.
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
