"""What is counted, and how it comes to be known by day."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from flask import current_app
from sqlalchemy import case, func, select

from swiper.admin.metrics_buffer import counts_key
from swiper.admin.models import DailyFigure
from swiper.db.transactions import transactional
from swiper.db.upsert import upsert
from swiper.extensions import db, redis, this_app
from swiper.ids import first_id_at
from swiper.profiles.models import User
from swiper.signals import matched, sms_failed, sms_sent, swiped
from swiper.social.models import SwipeKind
from swiper.vip.models import Order, OrderState
from swiper.vip.quotas import span_of, today

# How far back days without figures are filled in, and charts go.
KEPT_DAYS = 90
MICRO = 1_000_000


class Figure(StrEnum):
    """A number by day. Money is whole cents, what SMS cost is millionths of a yuan."""

    SIGN_UPS = "sign_ups"
    SWIPES = "swipes"
    LIKES = "likes"
    MATCHES = "matches"
    SMS_SENT = "sms_sent"
    SMS_FAILED = "sms_failed"
    SMS_COST = "sms_cost"
    REVENUE = "revenue"
    QUEUE_PEAK = "queue_peak"


def _count(*names: Figure, by: int = 1) -> None:
    # Applications that are made of a few parts only, as in tests of those, gather nothing.
    if (gathering := this_app().extensions.get("figures")) is not None:
        gathering.count(*names, by=by)


def count_swipe(_sender: Any, *, kind: SwipeKind, **_: Any) -> None:
    """Somebody swiped."""
    _count(Figure.SWIPES, *((Figure.LIKES,) if kind.is_like else ()))


def count_match(_sender: Any, **_: Any) -> None:
    """Two people became friends."""
    _count(Figure.MATCHES)


def count_sms(_sender: Any, *, provider: str) -> None:
    """A provider has taken a message; the console's cost nothing."""
    _count(Figure.SMS_SENT)
    if provider != "console":
        _count(Figure.SMS_COST, by=round(current_app.config.get("SMS_PRICE_YUAN", 0) * MICRO))


def count_failed_sms(_sender: Any) -> None:
    """No provider has taken a message; it is counted again when it is tried again."""
    _count(Figure.SMS_FAILED)


swiped.connect(count_swipe)
matched.connect(count_match)
sms_sent.connect(count_sms)
sms_failed.connect(count_failed_sms)


def store_metrics() -> int:
    """Write down the figures of today, yesterday and every day that was missed; how many days that were."""
    days = [today() - timedelta(days=back) for back in range(KEPT_DAYS)]
    known = select(DailyFigure.day).where(DailyFigure.name == Figure.SIGN_UPS, DailyFigure.day >= days[-1])
    written = set(db.session.scalars(known))
    wanted = [day for day in days if day in days[:2] or day not in written]
    for day in wanted:
        _keep(day, figures_at(day))
    return len(wanted)


@transactional
def _keep(day: date, figures: Mapping[str, int]) -> None:
    """A figure never falls: a Redis that has lost its data, or an account that was deleted, changes no past."""
    rows = [{"day": day, "name": name, "value": value} for name, value in figures.items()]
    upsert(
        DailyFigure,
        rows,
        ["day", "name"],
        lambda stored, offered: {"value": case((offered.value > stored.value, offered.value), else_=stored.value)},
    )


def figures_at(day: date) -> dict[str, int]:
    """The figures of a day as they are now: what was gathered, and what indexes tell at little cost."""
    stored: Any = redis.client.hgetall(counts_key(day))
    gathered = {name.decode(): int(value) for name, value in stored.items()}
    figures = {name.value: gathered.get(name, 0) for name in Figure}
    return figures | {Figure.SIGN_UPS.value: _sign_ups(day), Figure.REVENUE.value: _revenue(day)}


def _sign_ups(day: date) -> int:
    """People who came on a day: a range of the primary key, since ids are made in the order of time."""
    start, end = map(first_id_at, span_of(day))
    query = select(func.count()).select_from(User)
    query = query.where(User.id >= start, User.id < end, User.is_robot.is_(False))
    return db.session.scalar(query.execution_options(everywhere="A figure counts people of any id.")) or 0


def _revenue(day: date) -> int:
    """Cents paid on a day for what was granted, along the index of `paid_at`."""
    start, end = span_of(day)
    query = select(func.sum(Order.amount_cents)).where(Order.paid_at >= start, Order.paid_at < end)
    query = query.where(Order.state == OrderState.PAID)
    return int(db.session.scalar(query.execution_options(everywhere="A figure sums up orders of any id.")) or 0)


def series(days: int) -> dict[str, Any]:
    """The last `days` days, oldest first: `days`, and a list for each figure and for the match rate in percent."""
    shown = [today() - timedelta(days=back) for back in reversed(range(days))]
    table: dict[str, list[int]] = {name.value: [0] * days for name in Figure}
    place = {day: number for number, day in enumerate(shown)}
    for row in db.session.scalars(select(DailyFigure).where(DailyFigure.day >= shown[0])):
        if row.day in place and row.name in table:
            table[row.name][place[row.day]] = row.value
    # The beat comes once a minute; today is shown as it is.
    for name, value in figures_at(shown[-1]).items():
        table[name][-1] = max(table[name][-1], value)
    return {"days": [day.isoformat() for day in shown], "match_rate": list(_rates(table))} | table


def _rates(table: Mapping[str, list[int]]) -> Iterable[float | None]:
    """Matches in a hundred likes; None on a day without likes."""
    for matches, likes in zip(table[Figure.MATCHES], table[Figure.LIKES], strict=True):
        yield round(100 * matches / likes, 2) if likes else None
