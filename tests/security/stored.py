"""What the database and Redis hold, as text that can be searched."""

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask

from swiper.cache.backends import PREFIX, PackedSerializer
from swiper.extensions import db, redis
from tests.security.patterns import found_in


def stored_values(app: Flask) -> Iterator[tuple[str, str]]:
    """Every key in Redis, with its value in words: what is packed is unpacked."""
    with app.app_context():
        client = redis.client
        for key in client.keys("*"):
            readers: dict[bytes, Callable[[], Any]] = {
                b"string": lambda key=key: client.get(key),
                b"hash": lambda key=key: client.hgetall(key),
                b"list": lambda key=key: client.lrange(key, 0, -1),
                b"set": lambda key=key: client.smembers(key),
                b"zset": lambda key=key: client.zrange(key, 0, -1, withscores=True),
            }
            kind = client.type(key)
            # Some live for seconds, and end meanwhile.
            if kind != b"none":
                yield key.decode(), unpacked(readers[kind]())


def unpacked(value: Any) -> str:
    if isinstance(value, bytes) and value.startswith(PREFIX):
        return repr(PackedSerializer().loads(value))
    text = repr(value)
    for message in re.findall(r'"body": "([A-Za-z0-9+/=]+)"', text):
        text += base64.b64decode(message).decode()
    return text


def rows_of(app: Flask) -> dict[str, list[str]]:
    """Every row of every table, in words."""
    with app.app_context(), db.engine.connect() as connection:
        return {
            table.name: [repr(tuple(row)) for row in connection.execute(table.select())]
            for table in db.metadata.sorted_tables
        }


def tables_with(rows: dict[str, list[str]], patterns: list[re.Pattern[str]]) -> set[str]:
    return {name for name, lines in rows.items() if any(found_in(line, patterns) for line in lines)}


@dataclass
class Held:
    """What the service holds at one moment."""

    rows: dict[str, list[str]]
    redis: dict[str, str]
    seconds: dict[str, int]


def held_by(app: Flask) -> Held:
    values = dict(stored_values(app))
    with app.app_context():
        seconds = {key: int(redis.client.ttl(key)) for key in values}
    return Held(rows_of(app), values, seconds)
