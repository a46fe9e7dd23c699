"""The connection to Redis that the greenlets of a worker share. See `shared_connection`."""

import socket
from collections.abc import Callable
from typing import Any

from hiredis import PushNotification, Reader, pack_command
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse
from redis.exceptions import TimeoutError as RedisTimeoutError

from swiper.fastpath.shared_connection import SharedConnection
from swiper.fastpath.watchdog import PendingRequest

READ_SIZE = 65_536
INCOMPLETE = object()


class RedisConnection(SharedConnection):
    """A connection whose questions are packed commands. The answer to a refused command is its ResponseError."""

    def __init__(self, connection: Any, release: Callable[[Any], None]) -> None:
        """`connection` is one of redis-py's, and `release` gets it after it was closed.

        Raises RedisError if it cannot connect.
        """
        connection.connect()
        self.connection, self.release = connection, release
        self.socket: socket.socket = connection._sock
        self.socket.settimeout(0)
        self.reader = Reader(InvalidResponse, connection._parser.parse_error, notEnoughData=INCOMPLETE)
        self.unsent: list[bytes] = []
        super().__init__(self.socket.fileno(), connection.socket_timeout)

    def ask(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Return the answer to each command.

        Raises ConnectionError if the connection is lost, and TimeoutError if no answer comes in time.
        """
        return self.call(([piece for command in commands for piece in self.pack(command)], len(commands)))

    def pack(self, command: tuple[Any, ...]) -> list[bytes]:
        """Return a command as Redis reads it. Raises DataError for a value of a type that Redis does not have."""
        try:
            if " " not in command[0]:
                return [pack_command(command)]
        except TypeError:
            # redis-py packs values of more types, and raises DataError for others.
            pass
        packed: list[bytes] = self.connection.pack_command(*command)
        return packed

    def put(self, request: PendingRequest) -> None:
        """See `SharedConnection`."""
        packed, _ = request.question
        self.unsent += packed

    def lost(self, why: str) -> Exception:
        """See `SharedConnection`."""
        return RedisConnectionError(f"The connection to Redis is lost: {why}")

    def late(self) -> Exception:
        """See `SharedConnection`."""
        return RedisTimeoutError("Timeout reading from socket")

    def disconnect(self) -> None:
        """See `SharedConnection`."""
        self.connection.disconnect()
        self.release(self.connection)

    def _flush(self) -> bool:
        data = b"".join(self.unsent)
        try:
            sent = self.socket.send(data) if data else 0
        except BlockingIOError:
            sent = 0
        self.unsent = [data[sent:]] if sent < len(data) else []
        return sent == len(data)

    def _read(self) -> None:
        try:
            data = self.socket.recv(READ_SIZE)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionError("closed by the server")
        self.reader.feed(data)
        while not self.has_ended and (answer := self.reader.gets()) is not INCOMPLETE:
            if not isinstance(answer, PushNotification):
                self._hand_over(answer)

    def _hand_over(self, answer: Any) -> None:
        request = self.requests[0]
        request.answers.append(answer)
        if len(request.answers) == request.question[1]:
            self.requests.popleft()
            request.resume(request.answers)
