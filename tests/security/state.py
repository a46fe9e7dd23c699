"""What the service holds, so that a refused request can be shown to have changed nothing."""

from typing import Any

from flask import Flask

from swiper.extensions import db, redis

# What is only remembered for speed, and the count of what an address has tried.
FLEETING = (b"login:ip:", b"cache2:", b"limit", b"LIMIT")
COUNTED = (b":answer:", b":desk-attempts")


def snapshot(app: Flask) -> dict[Any, Any]:
    """Every row of every table, and every value in Redis that means something."""
    state: dict[Any, Any] = {}
    with app.app_context():
        with db.engine.connect() as connection:
            for table in db.metadata.sorted_tables:
                rows = connection.exec_driver_sql(f"SELECT * FROM {table.name}").all()
                state[table.name] = sorted(repr(tuple(row)) for row in rows)
        keys = [
            key
            for key in redis.client.keys("*")
            if not key.startswith(FLEETING) and b":answer:" not in key and b":desk-attempts" not in key
        ]
        pipe = redis.client.pipeline()
        for key in keys:
            pipe.dump(key)
        state |= dict(zip(keys, pipe.execute(), strict=True))
    return state


def difference(before: dict[Any, Any], after: dict[Any, Any]) -> list[Any]:
    """The tables and keys that are not what they were."""
    return sorted((name for name in before.keys() | after.keys() if before.get(name) != after.get(name)), key=repr)
