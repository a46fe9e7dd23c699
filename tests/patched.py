"""What scripts share that run by `python -m gevent.monkey`, patched like a worker, on the servers of a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flask import Flask

from config.settings import Settings
from swiper import create_app


@contextmanager
def application(database_url: str, redis_url: str, **changes: Any) -> Iterator[Flask]:
    """An application of the script's own; `changes` are settings."""
    with TemporaryDirectory() as folder:
        own = {"instance": Path(folder), "database_url": database_url, "redis_url": redis_url, "log_level": "WARNING"}
        yield create_app(Settings(_env_file=None, **own | changes))
