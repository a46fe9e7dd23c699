"""redis-py's client, which knows the keys of its site, runs scripts once, and sends several commands together."""

import functools
import secrets
from collections.abc import Sequence
from typing import Any

from redis import Redis

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

    def execute_together(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Send several commands in one round trip, and return their answers; for one that failed, its ResponseError."""
        with self.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            return pipe.execute(raise_on_error=False)
