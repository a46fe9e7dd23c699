"""The operator's command for a new SECRET_KEY."""

import click
from flask.cli import with_appcontext

from swiper.admin import key_rotation
from swiper.admin.queries.second_factors import count_recovery_codes
from swiper.commands import command


@command("rotate-keys")
@with_appcontext
def rotate_keys() -> None:
    """Encrypt with SECRET_KEY what a key of SECRET_KEY_FALLBACKS has encrypted; may be interrupted and run again."""
    done = key_rotation.rotate_secrets()
    click.echo(
        f"Secrets of authenticators: {done.renewed} encrypted with the new key, {done.current} were already, "
        f"{done.unreadable} are opened by no key."
    )
    click.echo(
        f"Recovery codes: {count_recovery_codes()}; those made under a former key need it until they are replaced."
    )
