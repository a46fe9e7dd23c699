"""What the checks of shared connections have in common: questions, and many greenlets that ask at the same moment."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent

from swiper.fastpath.postgres_statements import Statement
from swiper.fastpath.shared_connection import SharedConnection

MANY = 40
SECONDS = 0.4
ECHO = Statement("SELECT $1::int8, pg_backend_pid(), repeat('x', $2::int4)", int, int, str)
BROKEN = Statement("SELECT 1 / ($1::int8 - $1)", int)
Check = Callable[[Any], None]


@contextmanager
def counting(kind: type[SharedConnection]) -> Iterator[list[int]]:
    """How many calls each sending took along."""
    real, sent = kind._flush, []

    def flush(self: Any) -> bool:
        sent.append(len(self.unsent))
        return real(self)

    kind._flush = flush  # type: ignore[method-assign]
    try:
        yield sent
    finally:
        kind._flush = real  # type: ignore[method-assign]


def together(*asks: Callable[[], Any]) -> list[Any]:
    """What each greenlet got: its answer, or the exception."""

    def attempt(ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except Exception as error:
            return error

    greenlets = [gevent.spawn(attempt, ask) for ask in asks]
    return [each.get(timeout=60) for each in greenlets]


def shared_by(client: Any) -> Any:
    return client.holder.connection
