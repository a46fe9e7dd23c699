"""`flask check`: all that is wrong with settings, folders, servers, schema, clocks and limits, one line each."""

import click
from flask import current_app
from flask.cli import with_appcontext

from config.base import Environment, Fault
from config.folders import folder_faults
from config.limits import limit_faults
from config.settings import Settings
from swiper.cli.probes import probes_of, run_probes, urls_of
from swiper.commands import Number, command


@command("check")
@click.option(
    *("--seconds", "seconds"),
    type=Number(min=0, max=600, min_open=True),
    default=10.0,
    show_default=True,
    help="How long to wait for the servers.",
)
@click.pass_context
@with_appcontext
def check_command(ctx: click.Context, seconds: float) -> None:
    """Tell each fault of settings, folders, servers, schema, clocks and limits in one line; exit code 1 if any."""
    faults = find_faults(current_app.extensions["settings"], seconds)
    for fault in faults:
        click.echo(f"swiper: {fault}", err=True)
    if faults:
        ctx.exit(1)
    click.echo("Everything is in order.")


def find_faults(settings: Settings, seconds: float) -> list[Fault]:
    """Return each fault. The settings themselves were checked when the application was made."""
    found = folder_faults(settings)
    if settings.environment is Environment.PRODUCTION:
        found += limit_faults(settings)
    probes = probes_of(current_app, settings)
    return found + run_probes(probes, seconds, urls_of(settings))
