"""What an application answers, logs and queues while a test listens."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from celery import signals
from flask import Flask, Response, request, request_finished

from config.logging import LINE
from swiper.logs import MaskingFormatter
from tests.security.life import VIEWER


@dataclass
class Told:
    """One answer, and who got it."""

    viewer: str
    endpoint: str
    status: int
    text: str
    headers: str


class Wire:
    """Notes every answer, log line and message that leaves an application."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.told: list[Told] = []
        self.lines: list[str] = []
        self.messages: list[str] = []
        self.asked: set[str] = set()

    def note_answer(self, _sender: Flask, response: Response, **_: Any) -> None:
        self.asked.add(str(request.endpoint))
        text = "<a file>" if response.direct_passthrough else response.get_data(as_text=True)
        viewer = request.environ.get(VIEWER, "stranger")
        self.told.append(Told(viewer, str(request.endpoint), response.status_code, text, str(response.headers)))

    def note_message(self, **message: Any) -> None:
        parts = {name: message.get(name) for name in ("body", "headers", "properties", "routing_key", "exchange")}
        self.messages.append(f"{message.get('sender')} {parts!r}")


class CapturingHandler(logging.Handler):
    """Formats records as the service's own files do."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self.lines = lines
        self.setFormatter(MaskingFormatter(LINE))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextmanager
def listening(app: Flask) -> Iterator[Wire]:
    """A wire on the application; of our own loggers it notes every level."""
    wire, root, ours = Wire(app), logging.getLogger(), logging.getLogger("swiper")
    keeper = CapturingHandler(wire.lines)
    root.addHandler(keeper)
    ours.setLevel(logging.DEBUG)
    with request_finished.connected_to(wire.note_answer, app):
        signals.before_task_publish.connect(wire.note_message)
        try:
            yield wire
        finally:
            signals.before_task_publish.disconnect(wire.note_message)
            ours.setLevel(logging.NOTSET)
            root.removeHandler(keeper)
