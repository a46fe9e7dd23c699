"""The operator's commands: `flask seed-vip`, `seed-robots`, `ban-ip` and the others."""

from typing import Any

from flask import Flask

from swiper import commands
from swiper.cli import backfills, bans, check, keys, people, setup
from swiper.extensions import db, redis
from swiper.profiles.models import Preferences, User
from swiper.social.models import Friend, LikeIn, Pair, Swipe
from swiper.vip.models import FlashSale, Membership, Order, VipLevel

COMMANDS = (
    setup.seed_vip,
    setup.seed_robots_command,
    bans.ban_ip,
    bans.unban_ip,
    bans.list_bans_command,
    people.suspend,
    people.unsuspend,
    people.correct_profile,
    people.grant_operator,
    people.revoke_operator,
    people.reset_second_factor,
    people.list_operators_command,
    setup.add_sale_command,
    setup.distribute_command,
    setup.partition_command,
    setup.rebuild_ranking_command,
    check.check_command,
    keys.rotate_keys,
    backfills.backfill_command,
)
SHELL_MODELS = (User, Preferences, Swipe, LikeIn, Pair, Friend, VipLevel, Membership, Order, FlashSale)


def init_app(app: Flask) -> None:
    """Register the commands, and the names that `flask shell` knows."""
    for each in COMMANDS:
        app.cli.add_command(each)
    commands.init_app(app)

    def shell_context() -> dict[str, Any]:
        return {"db": db, "redis": redis.client} | {model.__name__: model for model in SHELL_MODELS}

    app.shell_context_processor(shell_context)
