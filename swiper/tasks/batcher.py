"""Work that requests leave to be done together: a buffer, and one timer that hands its content over.

What is in a buffer when its process is killed is lost, so each user of this has another way to find it, or can do
without it.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import gevent
from flask import Flask
from gevent.monkey import is_module_patched

B = TypeVar("B")


class Batcher(Generic[B]):
    """Callers change `content` and call `plan`. Where several threads do so, they hold the `lock` meanwhile."""

    def __init__(self, app: Flask, empty: Callable[[], B], send: Callable[[B], None]) -> None:
        """`empty` makes an empty content, which is false; `send` gets what has come, in a context of `app`."""
        self.app, self.empty, self.send = app, empty, send
        self.content = empty()
        self.is_planned = False
        self.lock = threading.Lock()

    def plan(self, seconds: float) -> None:
        """Hand the content over in so many seconds, unless that is planned already."""
        if self.is_planned:
            return
        self.is_planned = True
        if is_module_patched("socket"):
            gevent.spawn_later(seconds, self.flush)
            return
        timer = threading.Timer(seconds, self.flush)
        timer.daemon = True
        timer.start()

    def flush(self) -> None:
        """Hand the content over now, if there is any. Raises what `send` does."""
        self.is_planned = False
        with self.lock:
            content, self.content = self.content, self.empty()
        if content:
            with self.app.app_context():
                self.send(content)


def batcher_of(app: Flask, name: str, empty: Callable[[], B], send: Callable[[B], None]) -> Batcher[B]:
    """Return the application's batcher of that name, made at its first use; see `Batcher`."""
    found: Batcher[B] | None = app.extensions.get(f"batcher:{name}")
    if found is None:
        found = app.extensions[f"batcher:{name}"] = Batcher(app, empty, send)
    return found
