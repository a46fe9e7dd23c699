"""Cache whole pages that are the same for everyone, and serve them with an ETag."""

import functools
import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

from flask import Response, current_app, make_response, request

from swiper.cache.calls import safe_call
from swiper.cache.models import SHARED
from swiper.cache.values import get_or_load, is_in_redis, is_pending, keep_copy, own_copy, read_cached
from swiper.tallies import HIT, tallies

LOCK_SECONDS = 5
WAIT_SECONDS = 2.0

CONDITIONS = frozenset(
    {"HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_RANGE"}
)

Page = tuple[bytes, str]
_locks: dict[str, threading.Lock] = {}


class NotAPageError(Exception):
    """The view returned a response that must not be cached."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def cached_page(
    key: str, seconds_setting: str, *, is_public: bool
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Cache a GET view without parameters, for the number of seconds in the setting `seconds_setting`.

    Only the body of a 200 is cached. On a miss one request runs the view while the others wait. `is_public` lets shared
    caches such as nginx store the page too. Flask-Caching's `cached` replays Set-Cookie, caches errors, and runs the
    view for every simultaneous miss.
    """

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(view)
        def serve(*args: Any, **kwargs: Any) -> Response:
            seconds: int = current_app.config[seconds_setting]
            page = own_copy(key)
            if page is None:
                try:
                    page = keep_copy(key, _find(key, seconds, functools.partial(view, *args, **kwargs)))
                except NotAPageError as error:
                    return error.response
            return _answer(page, seconds if is_public else 0)

        # The OpenAPI document reads this mark.
        serve.has_etag = True  # type: ignore[attr-defined]
        return serve

    return decorate


def _find(key: str, seconds: int, view: Callable[[], Any]) -> Page:
    """Return the cached page, or render it. Raises NotAPageError for a response other than 200."""
    if is_pending(SHARED, key):
        # No process may store the page now, so only this process's own copy can appear.
        with _locks.setdefault(key, threading.Lock()):
            page: Page | None = own_copy(key)
            return _render(view) if page is None else page
    page = read_cached(key, Page)
    if page is None:
        return _render_once(key, seconds, view)
    tallies[HIT] += 1
    return page


def _render_once(key: str, seconds: int, view: Callable[[], Any]) -> Page:
    """Wait for the page if another process renders it, or render it. Raises NotAPageError as `_find` does."""
    with _locks.setdefault(key, threading.Lock()):
        lock = f"{key}:lock"
        token = try_lock(lock, LOCK_SECONDS)
        page = _wait_for(key) if token is None else None
        if page is not None:
            return page
        try:
            return get_or_load(key, lambda: _render(view), seconds, Page)
        finally:
            if token is not None:
                unlock(lock, token)


def try_lock(key: str, seconds: int) -> str | None:
    """Take a lock between all processes for at most `seconds`. Return the token for `unlock`, or None if it is taken.

    If the cache cannot be used, every caller gets the lock.
    """
    token = secrets.token_hex(8)
    is_ours = safe_call("add", key, token, timeout=seconds)
    return token if is_ours is None or is_ours else None


def unlock(key: str, token: str) -> None:
    """Release a lock, unless it has expired and another caller has it now."""
    if is_in_redis():
        safe_call("delete_if_equal", key, token)
    elif safe_call("get", key) == token:
        # Other backends cannot compare and delete in one step. The lock may change hands between these two calls.
        safe_call("delete", key)


def _render(view: Callable[[], Any]) -> Page:
    # The page is cached for much longer than local copies, so it must not contain an outdated copy.
    current_app.extensions.get("local_copies", {}).clear()
    response = make_response(view())
    if response.status_code != 200:
        raise NotAPageError(response)
    body = response.get_data()
    return body, hashlib.sha256(body).hexdigest()[:32]


def _wait_for(key: str) -> Page | None:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        page: Page | None = read_cached(key, Page)
        if page is not None:
            return page
        time.sleep(0.02)
    return None


def _answer(page: Page, shared_seconds: int) -> Response:
    body, tag = page
    keeping = f"public, max-age={min(shared_seconds, 60)}" if shared_seconds else "private, no-cache"
    headers = [("ETag", f'"{tag}"'), ("Cache-Control", keeping)]
    response = Response(body, headers=headers, mimetype="application/json")
    if not CONDITIONS.isdisjoint(request.environ):
        response.make_conditional(request)
    return response
