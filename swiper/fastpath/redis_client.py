"""redis-py's client, with one connection that all greenlets of a worker share for single commands.

redis-py polls each connection before use and records figures about each command. This costs a worker more than the
round trip itself. Pipelines, commands that block, TLS and other threads use redis-py's own pool.
"""

from typing import Any

from redis.connection import SSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError

from swiper.fastpath.connection_holder import ConnectionHolder
from swiper.fastpath.redis_connection import RedisConnection
from swiper.redis_client import AppRedis

# These commands may wait long, and later commands on the same connection would wait for them.
BLOCKING = frozenset({"BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BLMPOP", "BZPOPMIN", "BZPOPMAX", "BZMPOP", "XREAD"})
BLOCKING |= {"XREADGROUP", "WAIT", "WAITAOF", "SUBSCRIBE", "PSUBSCRIBE", "MONITOR"}


class _Answer:
    """Takes the place of a connection: redis-py reads from it an answer that has arrived already."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def read_response(self, **_: Any) -> Any:
        """Return the answer. Raises it if it is an error."""
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class SharedRedis(AppRedis):
    """The application's client in a gevent worker."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """See redis-py."""
        super().__init__(*args, **options)
        self.holder = ConnectionHolder(self._open)
        # TLS keeps data in its own buffers. Only redis-py's connections know how to wait for it.
        self.has_tls = issubclass(self.connection_pool.connection_class, SSLConnection)

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Return the answer to a command. It is sent once more after a lost connection. Raises RedisError."""
        if not self._is_sharing() or args[0] in BLOCKING:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        (answer,) = self._share(args)
        return self.parse_response(_Answer(answer), args[0], **options)  # type: ignore[no-untyped-call]

    def execute_together(self, *commands: tuple[Any, ...]) -> list[Any]:
        """See `AppRedis`."""
        if not self._is_sharing():
            return super().execute_together(*commands)
        answers = self._share(*commands)
        return [
            answer if isinstance(answer, Exception) else self.parse_response(_Answer(answer), command[0])  # type: ignore[no-untyped-call]
            for command, answer in zip(commands, answers, strict=True)
        ]

    def close(self) -> None:
        """See redis-py."""
        self.holder.close()
        super().close()

    def _is_sharing(self) -> bool:
        return not self.has_tls and self.holder.is_of_this_thread()

    def _share(self, *commands: tuple[Any, ...]) -> list[Any]:
        try:
            return self.holder.get().ask(*commands)
        except RedisConnectionError:
            return self.holder.get().ask(*commands)

    def _open(self) -> RedisConnection:
        pool = self.connection_pool
        connection = pool.get_connection()
        try:
            return RedisConnection(connection, pool.release)
        except BaseException:
            connection.disconnect()
            pool.release(connection)
            raise


class SentinelSharedRedis(SharedRedis):
    """The same for a master that Sentinels know. Its pool asks them for the address before each connection."""

    def _share(self, *commands: tuple[Any, ...]) -> list[Any]:
        answers = super()._share(*commands)
        if any(isinstance(answer, ReadOnlyError) for answer in answers):
            # The connection's server was the master. It has changed nothing, so all commands are asked again.
            self.holder.close()
            answers = super()._share(*commands)
        return answers
