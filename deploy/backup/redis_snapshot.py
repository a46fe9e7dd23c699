"""What is worth keeping of Redis, written as values that Redis serializes itself.

Budgets and waits, which would count from 0: how many codes a number, a network and all have got, and when somebody may
export again. Sessions are secrets of their owners, and one that was ended after the backup would be valid again, so
they are left out unless asked for. All else is made anew (docs/redis.md).
"""

import base64
import gzip
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from deploy.backup.errors import BackupError
from swiper.extensions import make_client

BUDGETS = re.compile(rb"\{p:[^}]*\}:(?:hour|day|own)|\{u:\d+\}:export|sms:[\w:.{}-]+")
# What a site has once somebody has used it. All else is there as soon as it is installed.
OF_PEOPLE = b"{[up]:*"
# The mark of a site with a name (swiper/site_marker.py).
MARK = re.compile(rb"([a-z0-9][a-z0-9-]{0,31}:)site")
SESSIONS = re.compile(rb"\{u:\d+\}:(?:session:.+|sessions)")
BATCH = 500
# A snapshot may wait longer than a request.
OPTIONS = {"socket_timeout": 30.0, "socket_connect_timeout": 30.0, "retry": Retry(NoBackoff(), 1)}


class SiteRedis:
    """The keys of one site in its Redis. `prefix` is what they begin with.

    A site without a name has all keys but those of sites with a name.

    Snapshots have the names without the prefix. Each method raises BackupError if Redis fails.
    """

    def __init__(self, url: str, prefix: str) -> None:
        self.url = url
        self.prefix = prefix.encode()

    @contextmanager
    def connected(self) -> Iterator[Redis]:
        """Yield a client that waits longer than that of the application. Raises BackupError if Redis fails inside."""
        try:
            with make_client(self.url, OPTIONS) as client:
                yield client
        except RedisError as error:
            raise away(error) from error

    def save(self, path: Path, *, with_sessions: bool) -> int:
        """Write the values that are kept to a new file. Return how many. Raises OSError."""
        count = 0
        with self.connected() as client, gzip.open(path, "xt", encoding="ascii", compresslevel=1) as file:
            for keys in _batches(self._own_keys(client)):
                kept = [key for key in keys if self._is_kept(key, with_sessions)]
                for record in self._records(client, kept):
                    file.write(json.dumps(record) + "\n")
                    count += 1
        return count

    def restore(self, path: Path) -> tuple[int, int]:
        """Store the values of a file, unless their time is over or there is a value already.

        Return how many, and how many this Redis does not read since a later version has written them. Raises OSError.
        """
        stored = unread = 0
        with self.connected() as client, gzip.open(path, "rt", encoding="ascii") as file:
            while records := [json.loads(line) for line in islice(file, BATCH)]:
                counts = self._store(client, records)
                stored, unread = stored + counts[0], unread + counts[1]
        return stored, unread

    def is_used(self) -> bool:
        """Return True if people of the site have keys."""
        with self.connected() as client:
            return any(client.scan_iter(match=self.prefix + OF_PEOPLE, count=BATCH))

    def clear_derived(self, cache_prefix: str) -> None:
        """Remove the ranking and the cached values, which were made of what the database had before."""
        with self.connected() as client:
            for pattern in (self.prefix + b"{ranking}*", f"{cache_prefix}*".encode()):
                _remove(client, client.scan_iter(match=pattern, count=BATCH))

    def clear(self) -> None:
        """Remove all keys of the site."""
        with self.connected() as client:
            _remove(client, self._own_keys(client))

    def _own_keys(self, client: Redis) -> Iterator[bytes]:
        found = client.scan_iter(match=self.prefix + b"*", count=BATCH)
        others = () if self.prefix else _named_sites(client)
        return (key for key in found if not key.startswith(others))

    def _is_kept(self, key: bytes, with_sessions: bool) -> bool:
        name = key.removeprefix(self.prefix)
        return bool(BUDGETS.fullmatch(name) or (with_sessions and SESSIONS.fullmatch(name)))

    def _records(self, client: Redis, keys: list[bytes]) -> Iterator[dict[str, Any]]:
        with client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.dump(key)
                pipe.execute_command("PEXPIRETIME", key)
            answers = pipe.execute()
        for key, value, expires_ms in zip(keys, answers[::2], answers[1::2], strict=True):
            # A key may have run out since it was found.
            if value is not None:
                yield {"name": _text(key.removeprefix(self.prefix)), "expires_ms": expires_ms, "value": _text(value)}

    def _store(self, client: Redis, records: list[dict[str, Any]]) -> tuple[int, int]:
        with client.pipeline(transaction=False) as pipe:
            for record in records:
                key, value, expires_ms = (
                    self.prefix + _bytes(record["name"]),
                    _bytes(record["value"]),
                    record["expires_ms"],
                )
                if expires_ms < 0:
                    pipe.restore(key, 0, value)
                elif expires_ms > time.time() * 1000:
                    pipe.restore(key, expires_ms, value, absttl=True)
            answers = pipe.execute(raise_on_error=False)
        refused = [answer for answer in answers if isinstance(answer, Exception)]
        # The archive's own checksum was right, so it is the version.
        unread = [error for error in refused if "DUMP payload version" in str(error)]
        for error in refused:
            if error not in unread and not (isinstance(error, ResponseError) and str(error).startswith("BUSYKEY")):
                raise error
        return len(answers) - len(refused), len(unread)


def _batches(keys: Iterator[bytes]) -> Iterator[list[bytes]]:
    while batch := list(islice(keys, BATCH)):
        yield batch


def _remove(client: Redis, found: Iterator[bytes]) -> None:
    for keys in _batches(found):
        with client.pipeline(transaction=False) as pipe:
            for key in keys:
                # One by one, since they may be in different slots of a cluster.
                pipe.unlink(key)
            pipe.execute()


def _named_sites(client: Redis) -> tuple[bytes, ...]:
    """Return the prefixes of the sites with a name that use this Redis."""
    marks = map(MARK.fullmatch, client.scan_iter(match=b"*:site", count=BATCH))
    return tuple(mark[1] for mark in marks if mark)


def away(error: RedisError) -> BackupError:
    """Return what tells the operator that Redis fails."""
    return BackupError(f"Redis does not answer, or refuses a command: {error}")


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)
