"""redis-py's client with a shorter way from a command to its answer.

redis-py 8 polls each connection before it is used and keeps books on each command, which costs a gevent worker more
than the round trip itself. Here a connection is taken as it is, and a command that finds it closed is sent again on a
new one, as the client's `Retry` asks for in any case. The greenlets of a gevent worker share one connection; threads
have one each, and so has what would keep others waiting.
"""

import functools
import secrets
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from redis import Redis
from redis.connection import ConnectionInterface, ConnectionPool, SSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from swiper.fastpath.lines import Keeper
from swiper.fastpath.redis_line import RedisLine

T = TypeVar("T")

# Whoever sends one of these may wait for long, and everything behind it would wait as well.
BLOCKING = frozenset({"BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BLMPOP", "BZPOPMIN", "BZPOPMAX", "BZMPOP", "XREAD"})
BLOCKING |= {"XREADGROUP", "WAIT", "WAITAOF", "SUBSCRIBE", "PSUBSCRIBE", "MONITOR"}
# Longer than a command that is sent again can take. The last of KEYS holds the answer that was given to this request.
KEPT_ANSWER_MS = 10_000
ONCE = """
local answer_key = table.remove(KEYS)
local kept = redis.call('GET', answer_key)
if kept then return cjson.decode(kept)[1] end
local function run()
%s
end
local answer = run()
redis.call('SET', answer_key, cjson.encode({answer}), 'PX', %d)
return answer
"""


@functools.lru_cache(maxsize=100)
def _with_kept_answer(script: str) -> str:
    return ONCE % (script, KEPT_ANSWER_MS)


def once(script: str, keys: Sequence[str], *args: Any) -> tuple[Any, ...]:
    """The command that runs a script once, however often it is sent: a repetition gets the first answer.

    A connection may be lost after Redis has run a script and before its answer has come; the client then sends the
    command again. So each script that counts or consumes goes this way. It answers with whole numbers below 10^14,
    texts, or lists of them.
    """
    first = keys[0]
    slot = first if "{" in first else f"{{{first}}}"
    answer_key = f"{slot}:answer:{secrets.token_hex(8)}"
    return "EVAL", _with_kept_answer(script), len(keys) + 1, *keys, answer_key, *args


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

    keeper: Keeper[RedisLine] | None = None
    has_buffers = False

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """The answer to a command; a lost connection is tried once more. Raises RedisError."""
        if not self._is_sharing() or args[0] in BLOCKING:
            return self._with_connection(lambda connection: self._ask(connection, *args, **options))
        (answer,) = self._share(args)
        if isinstance(answer, Exception):
            raise answer
        read = self.response_callbacks.get(args[0])
        return read(answer, **options) if read else answer

    def eval_once(self, script: str, keys: Sequence[str], *args: Any) -> Any:
        """What a script answers that may count or consume something; see `once`. Raises RedisError."""
        return self.execute_command(*once(script, keys, *args))

    def execute_together(self, *commands: tuple[Any, ...]) -> list[Any]:
        """The answers to several commands that are sent at once; one that failed stands there as its ResponseError."""
        if not self._is_sharing():
            return self._with_connection(lambda connection: self._ask_together(connection, commands))
        reads = [self.response_callbacks.get(command[0]) for command in commands]
        return [
            read(answer) if read and not isinstance(answer, Exception) else answer
            for read, answer in zip(reads, self._share(*commands), strict=True)
        ]

    def close(self) -> None:
        """See redis-py."""
        if self.keeper is not None:
            self.keeper.close()
        super().close()

    def _is_sharing(self) -> bool:
        """True in a gevent worker's greenlets. TLS has buffers of its own, for which redis-py knows how to wait."""
        if self.keeper is None:
            self.keeper = Keeper(self._connect_line)
            self.has_buffers = issubclass(self.connection_pool.connection_class, SSLConnection)
        return not self.has_buffers and self.keeper.is_for_us()

    def _share(self, *commands: tuple[Any, ...]) -> list[Any]:
        keeper = cast(Keeper[RedisLine], self.keeper)
        try:
            return keeper.get().ask(*commands)
        except RedisConnectionError:
            return keeper.get().ask(*commands)

    def _connect_line(self) -> RedisLine:
        pool = self.connection_pool
        connection = pool.get_connection()
        try:
            return RedisLine(connection, pool.release)
        except BaseException:
            connection.disconnect()
            pool.release(connection)
            raise

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
