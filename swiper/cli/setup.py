"""The operator's commands that set up data: VIP levels, robots, flash sales, tables in parts, the ranking."""

from datetime import datetime
from typing import Any

import click
from flask.cli import with_appcontext

from swiper.admin import changes
from swiper.clock import now
from swiper.commands import HOURS, command, end_after
from swiper.db.distribution import DistributionError, distribute, statements_for
from swiper.db.partitions import PARTITIONED, PartitionError, all_statements, partition
from swiper.extensions import db
from swiper.robots.seeding import seed_robots
from swiper.social.ranking_rebuild import rebuild_alone
from swiper.vip.levels import find_level, seed_levels
from swiper.vip.money import parse_yuan


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
        ends_at=end_after(starts_at, hours),
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


@command("partition")
@click.option("--parts", default=16, show_default=True, help="Into how many parts each table is split.")
@click.option("--dry-run", is_flag=True, help="Print the statements for all tables, on any database, and run none.")
@with_appcontext
def partition_command(parts: int, dry_run: bool) -> None:
    """Split the tables of swipes into parts, on one large PostgreSQL server; stop the service before.

    Tables that are split already stay as they are.
    """
    try:
        if dry_run:
            for statements in all_statements(db.metadata, parts):
                click.echo(";\n".join(["BEGIN", *statements, "COMMIT", ""]), nl=False)
            return
        changed = partition(db.engine, db.metadata, parts)
    except PartitionError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{len(changed)} tables are split into {parts} parts, {len(PARTITIONED) - len(changed)} were before.")


@command("rebuild-ranking")
@with_appcontext
def rebuild_ranking_command() -> None:
    """Correct all scores by the swipes in the database, and the ranking by the scores; fill it if Redis has lost it."""
    count = rebuild_alone(counts_everybody=True)
    if count is None:
        raise click.ClickException("Another process rebuilds the ranking; try again later.")
    click.echo(f"The ranking is rebuilt: {count} people are in it.")
