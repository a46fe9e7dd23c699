"""redis-py's client with a shorter way from a command to its answer.

redis-py 8 polls each connection before it is used and keeps books on each command, which costs a gevent worker more
than the round trip itself. Here a connection is taken as it is, and a command that finds it closed is sent again on a
new one, as the client's `Retry` asks for in any case.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar, cast

from flask import Flask
from flask_caching.backends.rediscache import RedisCache
from redis import Redis
from redis.connection import ConnectionInterface, ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

T = TypeVar("T")


class QuickPool(ConnectionPool):
    """Hands out connections without asking the kernel whether they are still open."""

    def get_connection(self, *_: Any, **__: Any) -> ConnectionInterface:  # type: ignore[override]
        """A connection that was used last, or one that is made at its first command. Raises MaxConnectionsError."""
        try:
            return cast(ConnectionInterface, self._available_connections.pop())
        except IndexError:
            with self._lock:
                return self.make_connection()

    def release(self, connection: ConnectionInterface) -> None:
        """Take a connection back; one that was closed is opened again by its next command."""
        self._available_connections.append(connection)


class QuickRedis(Redis):
    """A client whose single commands take the short way; pipelines go redis-py's own."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """The answer to a command; a lost connection is tried once more. Raises RedisError."""
        return self._with_connection(lambda connection: self._ask(connection, *args, **options))

    def execute_together(self, *commands: tuple[Any, ...]) -> list[Any]:
        """The answers to several commands that are sent at once; one that failed stands there as its ResponseError."""
        return self._with_connection(lambda connection: self._ask_together(connection, commands))

    def _with_connection(self, ask: Callable[[ConnectionInterface], T]) -> T:
        pool = self.connection_pool
        connection = pool.get_connection()
        try:
            try:
                return ask(connection)
            except RedisConnectionError:
                connection.disconnect()
                return ask(connection)
        except ResponseError:
            raise
        except BaseException:
            # Whatever still arrives belongs to a command that nobody waits for any more.
            connection.disconnect()
            raise
        finally:
            pool.release(connection)

    def _ask(self, connection: ConnectionInterface, *args: Any, **options: Any) -> Any:
        connection.send_command(*args)
        return self.parse_response(connection, args[0], **options)

    def _ask_together(self, connection: ConnectionInterface, commands: tuple[tuple[Any, ...], ...]) -> list[Any]:
        connection.send_packed_command(connection.pack_commands(commands))
        answers: list[Any] = []
        for command in commands:
            try:
                answers.append(self.parse_response(connection, command[0]))
            except ResponseError as error:
                answers.append(error)
        return answers


class SharedRedisCache(RedisCache):
    """Flask-Caching's Redis backend on the application's own client, which reads and writes many the short way."""

    @classmethod
    def factory(cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> "SharedRedisCache":
        """See Flask-Caching."""
        options = kwargs | {"host": app.extensions["redis"], "key_prefix": config["CACHE_KEY_PREFIX"]}
        return cls(*args, **options)

    def get_many(self, *keys: str) -> list[Any]:
        """The values of `keys`, None for those that are not there."""
        prefix, read = self._get_prefix(), self.serializer.loads
        return [read(found) for found in self._read_client.execute_command("MGET", *[prefix + key for key in keys])]

    def set_many(self, mapping: dict[str, Any], timeout: int | timedelta | None = None) -> list[Any]:
        """Store values for `timeout` seconds, without end for 0; which keys were stored is returned."""
        if not mapping:
            return []
        prefix, seconds = self._get_prefix(), self._normalize_timeout(timeout)
        end = ("EX", seconds) if seconds > 0 else ()
        commands = [("SET", prefix + key, self.serializer.dumps(value), *end) for key, value in mapping.items()]
        answers = self._write_client.execute_together(*commands)
        return [key for key, answer in zip(mapping, answers, strict=True) if not isinstance(answer, Exception)]
