"""Holds the one connection that a worker's greenlets share, and replaces it when it has ended."""

from collections.abc import Callable
from typing import Generic, TypeVar

from gevent import get_hub
from gevent.event import AsyncResult

from swiper.fastpath.shared_connection import SharedConnection

C = TypeVar("C", bound=SharedConnection)


class ConnectionHolder(Generic[C]):
    """Makes a connection when none is open. One greenlet connects, and the others wait for it."""

    def __init__(self, connect: Callable[[], C]) -> None:
        """`connect` makes a connection. All greenlets that wait get the error that it raises."""
        self.connect = connect
        self.hub = get_hub()
        self.connection: C | None = None
        self.connecting: AsyncResult | None = None

    def is_of_this_thread(self) -> bool:
        """Return True in greenlets of the thread that has made this holder. Each thread has a hub of its own."""
        return self.hub is get_hub()

    def get(self) -> C:
        """Return an open connection. Raises what `connect` does."""
        while True:
            if self.connection is not None and self.connection.is_open:
                return self.connection
            if self.connecting is None:
                return self._connect()
            found = self.connecting.get()
            if isinstance(found, Exception):
                raise found.with_traceback(None)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self.connection is not None:
            self.connection.close()

    def _connect(self) -> C:
        made = self.connecting = AsyncResult()
        failed: Exception | None = None
        try:
            self.connection = self.connect()
            return self.connection
        except Exception as error:
            failed = error
            raise
        finally:
            # This runs as well when this greenlet is killed. Then another one connects.
            self.connecting = None
            made.set(failed)
