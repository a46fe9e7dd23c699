"""Flask with a shorter way from a request to its view and back: what is the same each time is worked out once.

The rules of Flask and Werkzeug hold; what is not on the short way goes theirs.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from apiflask import APIFlask
from flask import Request, Response, request_tearing_down
from flask.globals import request_ctx
from flask.sessions import NullSession
from werkzeug.datastructures import Headers
from werkzeug.routing import MapAdapter, Rule
from werkzeug.sansio.utils import get_host


class Hooks(NamedTuple):
    """What runs before and after a view, in its order."""

    before: tuple[Callable[[], Any], ...]
    after: tuple[Callable[[Response], Response], ...]


class KnownRoutes:
    """Finds the rule of a path without variable parts by one look; everything else is left to Werkzeug's adapter."""

    def __init__(
        self, request: Request, routes: dict[tuple[str, str], Rule], adapt: Callable[[Request], MapAdapter]
    ) -> None:
        self.request = request
        self.routes = routes
        self.adapt = adapt

    def match(self, *args: Any, **options: Any) -> Any:
        """See `MapAdapter.match`; asked by Flask for the rule of this request."""
        environ = self.request.environ
        rule = self.routes.get((self.request.method, environ.get("PATH_INFO", "")))
        # An upgrade to a WebSocket asks for other rules.
        if rule is None or args or "HTTP_UPGRADE" in environ:
            return self.full.match(*args, **options)
        return rule, {}

    @functools.cached_property
    def full(self) -> MapAdapter:
        """Werkzeug's own, made when somebody needs it."""
        return self.adapt(self.request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.full, name)


# Checks the characters of a header that anybody may send; refusals are not kept.
_host_of = functools.lru_cache(maxsize=1_000)(get_host)


class QuickFlask(APIFlask):
    """An application whose routes and hooks stand still once it serves, as Flask itself demands."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """`func` itself: no hook or view is a coroutine."""
        return func

    @functools.cached_property
    def routes(self) -> dict[tuple[str, str], Rule]:
        """By method and path: the rules without variable parts."""
        found: dict[tuple[str, str], Rule] = {}
        for rule in self.url_map.iter_rules():
            is_plain = not (rule.arguments or rule.defaults or rule.build_only or rule.redirect_to or rule.websocket)
            if is_plain and not (rule.subdomain or rule.host):
                for method in rule.methods or ():
                    found.setdefault((method, rule.rule), rule)
        return found

    @functools.cached_property
    def hooks(self) -> dict[str | None, Hooks]:
        """By endpoint; None is for what no rule fits."""
        return {endpoint: self._hooks_of(endpoint) for endpoint in (None, *self.view_functions)}

    @functools.cached_property
    def upload_endpoints(self) -> frozenset[str]:
        """Endpoints of the views that take files: their bodies alone may be large."""
        return frozenset(name for name, view in self.view_functions.items() if getattr(view, "reads_files", False))

    def _hooks_of(self, endpoint: str | None) -> Hooks:
        names = (endpoint.rpartition(".")[0],) if endpoint and "." in endpoint else ()
        before = [hook for name in (None, *names) for hook in self.before_request_funcs.get(name, ())]
        after = [hook for name in (*names, None) for hook in reversed(self.after_request_funcs.get(name, ()))]
        return Hooks(tuple(before), tuple(after))

    def create_url_adapter(self, request: Request | None) -> Any:
        """See Flask."""
        adapt = super().create_url_adapter
        if request is None or self.config["TRUSTED_HOSTS"] is not None or self.config["SERVER_NAME"] is not None:
            return adapt(request)
        # As Flask does it, so that nonsense in this header is refused on every path.
        request.host = _host_of(request.scheme, request.environ.get("HTTP_HOST"), request.server)
        return KnownRoutes(request, self.routes, adapt)  # type: ignore[arg-type]

    def preprocess_request(self) -> Any:
        """See Flask; no part of this application has value preprocessors."""
        ctx = request_ctx._get_current_object()  # type: ignore[attr-defined]
        for hook in self.hooks[ctx.request.endpoint].before:
            answer = hook()
            if answer is not None:
                return answer
        return None

    def dispatch_request(self) -> Any:
        """See Flask."""
        request = request_ctx._get_current_object().request  # type: ignore[attr-defined]
        if request.routing_exception is not None or request.method == "OPTIONS":
            return super().dispatch_request()
        return self.view_functions[request.url_rule.endpoint](**request.view_args)

    def make_response(self, rv: Any) -> Response:
        """See Flask."""
        return rv if type(rv) is ReadyResponse else super().make_response(rv)

    def process_response(self, response: Response) -> Response:
        """See Flask."""
        ctx = request_ctx._get_current_object()  # type: ignore[attr-defined]
        after: Iterable[Any] = (*ctx._after_request_functions, *self.hooks[ctx.request.endpoint].after)
        for hook in after:
            response = hook(response)
        # For mappings isinstance walks through more than the class.
        if type(ctx._session) is not NullSession:
            self.session_interface.save_session(self, ctx._session, response)
        return response

    def do_teardown_request(self, *exc: Any) -> None:
        """See Flask, which looks for functions of each blueprint before it finds that there are none."""
        if self.teardown_request_funcs or request_tearing_down.receivers:
            super().do_teardown_request(*exc)


class ReadyHeaders(Headers):
    """Headers that are taken as they are."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__()
        self._list.extend(pairs)

    def add(self, key: str, value: Any, /, **options: Any) -> None:
        """See Werkzeug; what has options is more than a word of ours."""
        if options:
            super().add(key, value, **options)
        else:
            self._list.append((key, str(value)))


class ReadyResponse(Response):
    """JSON that is complete and sent once: nothing is left to work out when it goes."""

    def __init__(self, body: bytes, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> None:
        """`headers` are of our own making: Werkzeug would look for line breaks in each of them."""
        super().__init__([body], status, ReadyHeaders([("Content-Type", "application/json"), *headers]))
        self.body = body

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """See PEP 3333."""
        start_response(self.status, [*self.headers, ("Content-Length", str(len(self.body)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [self.body]
