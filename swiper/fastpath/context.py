"""The objects behind Flask's proxies.

A proxy looks its object up anew for each attribute, with several calls; a hot request did that 40 times, for a tenth of
its CPU. `_get_current_object` is what Werkzeug documents for this, although its name begins with an underscore.
"""

from collections.abc import Callable
from typing import Any

from flask.globals import app_ctx, request_ctx

_app_proxy: Any = app_ctx
_request_proxy: Any = request_ctx

# They raise RuntimeError outside of an application or a request.
current_app_context: Callable[[], Any] = _app_proxy._get_current_object
current_request_context: Callable[[], Any] = _request_proxy._get_current_object
