"""redis-py's client with the two ways to ask that the application needs beside single commands."""

import functools
import secrets
from collections.abc import Sequence
from typing import Any

from redis import Redis

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


class AppRedis(Redis):
    """The application's client, on redis-py's own connections."""

    def eval_once(self, script: str, keys: Sequence[str], *args: Any) -> Any:
        """What a script answers that may count or consume something; see `once`. Raises RedisError."""
        return self.execute_command(*once(script, keys, *args))  # type: ignore[no-untyped-call]

    def execute_together(self, *commands: tuple[Any, ...]) -> list[Any]:
        """The answers to several commands that are sent at once; one that failed stands there as its ResponseError."""
        with self.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            return pipe.execute(raise_on_error=False)
