"""The first page: charts of the metrics, the queue, the slowest routes; the same metrics as JSON."""

import logging
from typing import Any

from flask import Response, jsonify, request
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from swiper.admin import metrics, queues, route_latency, schemas
from swiper.admin.views.base import blueprint, render_page
from swiper.clock import today
from swiper.http.blueprints import ok

log = logging.getLogger(__name__)

SPANS = (7, 30, 90)
_query = schemas.DaysQuery()


def _queue_lengths() -> dict[str, int] | None:
    """The length of each queue; None if the broker does not answer, since the page shows the rest also then."""
    try:
        return queues.queue_lengths()
    except (OperationalError, RedisError, OSError) as error:
        log.warning("the broker does not answer: %s", type(error).__name__)
        return None


@blueprint.get("")
def overview() -> Any:
    """Charts of the last `days` days."""
    days = _query.load(request.args)["days"]
    return render_page(
        "overview.html",
        days=days,
        spans=SPANS,
        table=metrics.series(days),
        waiting=_queue_lengths(),
        samples=queues.queue_samples(),
        routes=route_latency.slowest_routes(today()),
    )


@blueprint.get("/figures.json")
def metrics_json() -> Response:
    """The data of the charts: metrics by day, the samples of the queue, and how many tasks wait now."""
    days = _query.load(request.args)["days"]
    data = metrics.series(days) | {"queue": queues.queue_samples(), "waiting": _queue_lengths()}
    return jsonify(ok(data))
