"""Made-up metrics of a month, for the screenshots: a copy that has just started has none."""

import random
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from config.settings import Settings
from swiper.admin.metrics_buffer import Metric
from swiper.tallies import MICRO
from tests.browser.site import Site

DAYS = 30
SEED = 5
ZONE: str = Settings.model_fields["timezone"].default
SMS_YUAN = 0.045
LEVEL_CENTS = 1500


def tell_history(site: Site) -> None:
    """Store metrics of the last days, and of today so far."""
    chance = random.Random(SEED)
    last = datetime.now(ZoneInfo(ZONE)).date()
    rows = [
        ((last - timedelta(days=back)).isoformat(), name.value, value)
        for back in reversed(range(DAYS))
        for name, value in _day(chance, DAYS - back).items()
    ]
    with closing(sqlite3.connect(site.instance / "swiper.db", timeout=30)) as database, database:
        database.executemany("INSERT OR REPLACE INTO daily_figures (day, name, value) VALUES (?, ?, ?)", rows)


def _day(chance: random.Random, number: int) -> dict[Metric, int]:
    """One day of a service that grows."""
    sign_ups = round(chance.uniform(20, 32) + number * chance.uniform(0.6, 1.4))
    swipes = round(sign_ups * chance.uniform(38, 52))
    likes = round(swipes * chance.uniform(0.36, 0.44))
    sent = round(sign_ups * chance.uniform(1.6, 2.2))
    return {
        Metric.SIGN_UPS: sign_ups,
        Metric.SWIPES: swipes,
        Metric.LIKES: likes,
        Metric.MATCHES: round(likes * chance.uniform(0.11, 0.17)),
        Metric.SMS_SENT: sent,
        Metric.SMS_FAILED: round(sent * chance.uniform(0, 0.06)),
        Metric.SMS_COST: round(sent * SMS_YUAN * MICRO),
        Metric.REVENUE: round(sign_ups * chance.uniform(0.05, 0.12)) * LEVEL_CENTS,
        Metric.QUEUE_PEAK: chance.randint(1, 14),
    }
