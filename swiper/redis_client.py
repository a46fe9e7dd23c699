"""redis-py's client, which knows the keys of its site, runs scripts once, and sends several commands together."""

import functools
import secrets
import time
from collections.abc import Sequence
from typing import Any

from redis import Redis
from redis.connection import AbstractConnection, ConnectionPool

from config.key_families import KEY_FAMILIES

# Longer than a repeated command can take. The last of KEYS has the answer that this request has got.
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


# A connection that was used in this time is used again unseen.
TRUSTED_SECONDS = 1.0


class _TrustedConnection(AbstractConnection):
    """A connection that redis-py's pool does not poll when it was given back a moment ago.

    In a gevent worker the poll costs a third of a command. redis-py itself closes a connection whose answer it has not
    read, and repeats a command when the server has closed the connection.
    """

    given_back_at = 0.0

    def can_read(self, timeout: float = 0) -> bool:
        """Return True if data has arrived or the server has closed the connection; see redis-py."""
        given_back_at, self.given_back_at = self.given_back_at, 0.0
        if time.monotonic() - given_back_at < TRUSTED_SECONDS:
            return False
        return super().can_read(timeout)


class AppPool(ConnectionPool):
    """redis-py's pool, with fewer polls."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """See redis-py."""
        super().__init__(*args, **options)
        self.connection_class = _trusted(self.connection_class)

    def release(self, connection: Any) -> None:
        """See redis-py."""
        connection.given_back_at = time.monotonic()
        super().release(connection)


@functools.cache
def _trusted(connection_class: type[AbstractConnection]) -> type[AbstractConnection]:
    """Return the class for TCP, TLS or a socket's path with the method of `_TrustedConnection`."""
    return type(connection_class.__name__, (_TrustedConnection, connection_class), {})


class AppRedis(Redis):
    """The application's client, with the connections of redis-py."""

    # What each key of this site begins with.
    key_prefix = ""

    def key(self, name: str) -> str:
        """Return the key of this site for `name`. Braces in the name decide on the slot of a cluster, as without it.

        Raises ValueError for a name whose first word is not in `config/key_families.py`.
        """
        family, colon, _ = name.partition(":")
        if colon and family not in KEY_FAMILIES and not name.startswith("{"):
            raise ValueError(f"config/key_families.py does not have {family!r}, which a site could have as its name")
        return f"{self.key_prefix}{name}"

    def once(self, script: str, keys: Sequence[str], *args: Any) -> tuple[Any, ...]:
        """Return a command that runs a script once, even if it is sent again: then it returns the first answer.

        A connection may be lost after Redis has run a script and before its answer has arrived. The client then sends
        the command again. So each script that counts or consumes must use this. Answers may be whole numbers below
        10^14, texts, or lists of these.
        """
        first = keys[0]
        slot = first if "{" in first else self.key(f"{{{first}}}")
        answer_key = f"{slot}:answer:{secrets.token_hex(8)}"
        return "EVAL", _with_kept_answer(script), len(keys) + 1, *keys, answer_key, *args

    def eval_once(self, script: str, keys: Sequence[str], *args: Any) -> Any:
        """Run a script that counts or consumes something, and return its answer; see `once`. Raises RedisError."""
        return self.execute_command(*self.once(script, keys, *args))  # type: ignore[no-untyped-call]

    def spread_keys(self, name: str) -> list[str]:
        """Return a key for `name` on each server that takes writes: if all can be written, Redis takes writes."""
        return [self.key(name)]

    def execute_together(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Send several commands in one round trip, and return their answers; for one that failed, its ResponseError."""
        with self.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            return pipe.execute(raise_on_error=False)
