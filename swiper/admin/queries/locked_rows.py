"""Rows of other features that an operator changes.

Each is locked until the transaction ends, so that the audit log tells the state that the change really replaced.
"""

from swiper.bans.models import IpBan
from swiper.extensions import db
from swiper.profiles.models import User
from swiper.vip.models import FlashSale


def lock_user(uid: int) -> User | None:
    """The account as it is now, locked; None when it is gone."""
    return db.session.get(User, uid, with_for_update=True, populate_existing=True)


def lock_ban(network: str) -> IpBan | None:
    """The ban of exactly this network, locked; None when there is none."""
    return db.session.get(IpBan, network, with_for_update=True, populate_existing=True)


def lock_sale(sale_id: int) -> FlashSale | None:
    """The flash sale, locked; None when there is none."""
    return db.session.get(FlashSale, sale_id, with_for_update=True, populate_existing=True)
