"""The first page: charts, the queue, the slowest routes; and the figures behind them as JSON."""

import logging
from typing import Any

from flask import Response, jsonify, request
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from swiper.admin import metrics, queues, route_latency, schemas
from swiper.admin.views.base import blueprint, show
from swiper.http.blueprints import ok
from swiper.vip.quotas import today

log = logging.getLogger(__name__)

SPANS = (7, 30, 90)
_query = schemas.DaysQuery()


def _waiting() -> dict[str, int] | None:
    """The length of each queue; None while the broker does not answer, which must not hide everything else."""
    try:
        return queues.queue_lengths()
    except (OperationalError, RedisError, OSError) as error:
        log.warning("the broker does not tell its queues: %s", type(error).__name__)
        return None


@blueprint.get("")
def overview() -> Any:
    """Charts of the last days."""
    days = _query.load(request.args)["days"]
    return show(
        "overview.html",
        days=days,
        spans=SPANS,
        table=metrics.series(days),
        waiting=_waiting(),
        samples=queues.queue_samples(),
        routes=route_latency.slowest_routes(today()),
    )


@blueprint.get("/figures.json")
def figures_json() -> Response:
    """What the charts draw: days and figures, the queue's samples, and how many tasks wait now."""
    days = _query.load(request.args)["days"]
    data = metrics.series(days) | {"queue": queues.queue_samples(), "waiting": _waiting()}
    return jsonify(ok(data))
