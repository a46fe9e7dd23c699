"""A buffer that collects the work of many requests, and a timer that sends its content.

The content of a buffer is lost if its process is killed. So each caller has another way to find that work, or does not
need it.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import gevent
from flask import Flask
from gevent.monkey import is_module_patched

B = TypeVar("B")

# Makes what runs later run as a part of what the caller does now, if anything does.
Carrier = Callable[[Callable[[], None]], Callable[[], None]]
_carriers: list[Carrier] = []


def carry_by(carrier: Carrier) -> None:
    """Let `carrier` prepare each sending that is planned from now on, in place of a former one."""
    _carriers[:] = [carrier]


class Batcher(Generic[B]):
    """Callers change `content` and call `plan`. If several threads do so, each holds the `lock` meanwhile."""

    def __init__(self, app: Flask, empty: Callable[[], B], send: Callable[[B], None]) -> None:
        """`empty` makes an empty content, which must be false. `send` gets the content, in a context of `app`."""
        self.app, self.empty, self.send = app, empty, send
        self.content = empty()
        self.is_planned = False
        self.lock = threading.Lock()

    def plan(self, seconds: float) -> None:
        """Send the content after `seconds`, unless this is planned already."""
        if self.is_planned:
            return
        self.is_planned = True
        flush = _carriers[-1](self.flush) if _carriers else self.flush
        if is_module_patched("socket"):
            gevent.spawn_later(seconds, flush)
            return
        timer = threading.Timer(seconds, flush)
        timer.daemon = True
        timer.start()

    def flush(self) -> None:
        """Send the content now, if there is any. Raises what `send` raises."""
        self.is_planned = False
        with self.lock:
            content, self.content = self.content, self.empty()
        if content:
            with self.app.app_context():
                self.send(content)


def batcher_of(app: Flask, name: str, empty: Callable[[], B], send: Callable[[B], None]) -> Batcher[B]:
    """Return the application's batcher of that name. It is made at the first call. See `Batcher`."""
    found: Batcher[B] | None = app.extensions.get(f"batcher:{name}")
    if found is None:
        found = app.extensions[f"batcher:{name}"] = Batcher(app, empty, send)
    return found
