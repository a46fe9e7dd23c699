"""Metrics by day: table `daily_figures`, and what is computed from the tables of other features."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import case, func, select

from swiper.admin.models import DailyMetric
from swiper.db.upsert import upsert
from swiper.extensions import db
from swiper.profiles.models import User
from swiper.vip.models import Order, OrderState


def days_with(name: str, first_day: date) -> set[date]:
    """The days from `first_day` on that have a value of the metric `name`."""
    query = select(DailyMetric.day).where(DailyMetric.name == name, DailyMetric.day >= first_day)
    return set(db.session.scalars(query))


def raise_metrics(day: date, values: Mapping[str, int]) -> None:
    """Store the metrics of a day; a stored value that is higher stays."""
    upsert(
        DailyMetric,
        [{"day": day, "name": name, "value": value} for name, value in values.items()],
        ["day", "name"],
        lambda stored, offered: {"value": case((offered.value > stored.value, offered.value), else_=stored.value)},
    )


def metrics_since(first_day: date) -> Sequence[DailyMetric]:
    """All stored metrics from `first_day` on."""
    return db.session.scalars(select(DailyMetric).where(DailyMetric.day >= first_day)).all()


def metrics_of_day(day: date, names: Collection[str]) -> dict[str, int]:
    """The stored values of a day by name, of those metrics in `names` that have one."""
    query = select(DailyMetric.name, DailyMetric.value)
    query = query.where(DailyMetric.day == day, DailyMetric.name.in_(sorted(names)))
    return {row.name: row.value for row in db.session.execute(query)}


def count_sign_ups(first_id: int, end_id: int) -> int:
    """The number of people with ids from `first_id` to below `end_id`, without robots."""
    query = select(func.count()).select_from(User)
    query = query.where(User.id >= first_id, User.id < end_id, User.is_robot.is_(False))
    return db.session.scalar(query.execution_options(everywhere="The metric counts people of any id.")) or 0


def sum_paid(start: datetime, end: datetime) -> int:
    """The cents of orders that were paid from `start` to before `end` and granted."""
    # This reads a range of the index of `paid_at`.
    query = select(func.sum(Order.amount_cents)).where(Order.paid_at >= start, Order.paid_at < end)
    query = query.where(Order.state == OrderState.PAID)
    return int(db.session.scalar(query.execution_options(everywhere="The metric sums up orders of any id.")) or 0)
