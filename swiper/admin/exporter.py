"""`/metrics` for Prometheus, which `metrics_server.py` serves in a process of its own."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from swiper.admin.metric_families import families_of_broker, families_of_database, families_of_redis
from swiper.http.responses import in_short, is_outage
from swiper.outages import is_broker_outage

log = logging.getLogger(__name__)

Source = Callable[[], Iterable[Metric]]
SOURCES: dict[str, Source] = {
    "redis": families_of_redis,
    "database": families_of_database,
    "broker": families_of_broker,
}


class SwiperCollector(Collector):
    """Reads all families at each scrape. Those of a source that is away are missing; its `swiper_source_up` is 0."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def collect(self) -> Iterable[Metric]:
        """Return the families. Raises what is no outage, so that the scrape fails."""
        up = GaugeMetricFamily("swiper_source_up", "1 if this source could be read.", labels=["source"])
        families: list[Metric] = [up]
        for source, read in SOURCES.items():
            # The end of the context gives the session's connection back.
            with self.app.app_context():
                found = _read(source, read)
            up.add_metric([source], float(found is not None))
            families += found or []
        return families


def _read(source: str, read: Source) -> list[Metric] | None:
    try:
        return list(read())
    except Exception as error:
        if not (is_outage(error) or is_broker_outage(error)):
            raise
        log.warning("metrics lack what the %s tells: %s", source, in_short(error))
        return None


def metrics_app(app: Flask) -> Any:
    """Return the WSGI application that answers `/metrics`, and 404 elsewhere."""
    registry = CollectorRegistry()
    registry.register(SwiperCollector(app))
    return DispatcherMiddleware(NotFound(), {"/metrics": make_wsgi_app(registry)})
