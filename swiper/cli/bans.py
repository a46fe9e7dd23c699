"""The operator's commands about IP bans."""

import click
from flask.cli import with_appcontext

from swiper.admin import changes
from swiper.bans.services import list_bans
from swiper.clock import now
from swiper.commands import HOURS, command, end_after


@command("ban-ip")
@click.argument("network")
@click.option("--reason", default="", help="For the operators' own memory.")
@click.option("--hours", type=HOURS, help="How long; for good when left out.")
@with_appcontext
def ban_ip(network: str, reason: str, hours: float | None) -> None:
    """Refuse an address or a network such as 203.0.113.0/24."""
    banned = changes.ban(None, network, reason, end_after(now(), hours) if hours else None)
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
