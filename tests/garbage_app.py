"""A WSGI application that answers whether garbage is collected, when it was loaded and now; for gunicorn in a test."""

import gc
import json
from collections.abc import Callable, Iterable
from typing import Any

IS_COLLECTED_AT_LOAD = gc.isenabled()


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "application/json")])
    state = {"at load": IS_COLLECTED_AT_LOAD, "now": gc.isenabled(), "frozen": gc.get_freeze_count() > 0}
    return [json.dumps(state).encode()]
