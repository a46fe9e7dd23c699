"""Statements about banned networks."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, or_, select

from swiper.bans.models import IpBan
from swiper.db.upsert import upsert
from swiper.extensions import db


def active_bans(moment: datetime) -> list[IpBan]:
    """Return every ban that has not expired at `moment`, ordered by network."""
    return list(db.session.scalars(select(IpBan).where(_is_active(moment)).order_by(IpBan.network)))


def active_networks(moment: datetime) -> list[tuple[str, datetime | None]]:
    """Return network and expiry of every ban that has not expired at `moment`."""
    rows = db.session.execute(select(IpBan.network, IpBan.expires_at).where(_is_active(moment)))
    return [(network, expires_at) for network, expires_at in rows]


def _is_active(moment: datetime) -> ColumnElement[bool]:
    return or_(IpBan.expires_at.is_(None), IpBan.expires_at > moment)


def lock_ban(network: str) -> IpBan | None:
    """Lock the ban of exactly this network until the transaction ends and return it, or None if there is none."""
    return db.session.get(IpBan, network, with_for_update=True, populate_existing=True)


def store_ban(row: dict[str, Any]) -> None:
    """Insert a ban, or replace reason, expiry and time of the ban of the same network."""
    upsert(
        IpBan,
        [row],
        ["network"],
        lambda _, new: {"reason": new.reason, "expires_at": new.expires_at, "created_at": new.created_at},
    )


def delete_ban(network: str) -> bool:
    """Delete the ban of exactly this network. Return False if there is none."""
    found = db.session.get(IpBan, network)
    if found is None:
        return False
    db.session.delete(found)
    return True


def delete_expired_bans(moment: datetime) -> None:
    """Delete the bans that have expired at `moment`."""
    db.session.execute(delete(IpBan).where(IpBan.expires_at <= moment))
