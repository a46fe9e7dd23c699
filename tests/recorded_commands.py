"""The commands that the application sends to Redis. Each must keep to one slot, as Redis Cluster wants it.

`slots_recorded` judges each command, and each transaction as a whole. What tests send by themselves counts for nothing.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

import pytest
from redis import Redis
from redis.client import Pipeline
from redis.crc import key_slot

from swiper.redis_client import AppRedis
from tests.recorded_statements import issuer_of

Command = Sequence[Any]
# The number of their keys stands behind the script.
SCRIPTS = ("EVAL", "EVALSHA")
# Only the server knows where the keys of such a command stand.
MOVABLE = "movablekeys"


@dataclass
class Crossing:
    """A command, or the commands of a transaction, with keys of several slots, and the function that has sent it."""

    issuer: str
    keys: list[str]

    def __str__(self) -> str:
        return f"{self.issuer} sends keys of several slots at once: {', '.join(self.keys)}"


# By command: the places of its first key and of its last one, and the step between keys. Filled by `learn_commands`.
_places: dict[str, tuple[int, int, int] | None] = {}


def learn_commands(client: Redis) -> None:
    """Ask a Redis where the keys of each command stand."""
    known: Any = client.command()
    for name, each in known.items():
        is_movable = MOVABLE in map(str, each["flags"])
        place = (each["first_key_pos"], each["last_key_pos"], each["step_count"])
        _places[name.upper()] = None if is_movable else place


def keys_of(command: Command) -> list[str]:
    """Return the keys of a command. Raises LookupError for a command whose keys have no fixed place."""
    name = str(command[0]).upper()
    if name in SCRIPTS:
        return [_text(key) for key in command[3 : 3 + int(command[2])]]
    place = _places[name.partition(" ")[0]]
    if place is None:
        raise LookupError(f"the keys of {name} have no fixed place: tests/recorded_commands.py must learn it")
    first, last, step = place
    end = len(command) + last + 1 if last < 0 else last + 1
    return [_text(key) for key in command[first:end:step]] if first else []


def _text(key: Any) -> str:
    return key.decode() if isinstance(key, bytes) else str(key)


def crossing_keys(commands: Sequence[Command]) -> list[str]:
    """Return all keys of `commands` if they are in several slots, and nothing otherwise."""
    keys = [key for command in commands for key in keys_of(command)]
    return keys if len({key_slot(key.encode()) for key in keys}) > 1 else []


# Celery has pipelines as well. Its broker is never a cluster.
_of_application: WeakSet[Pipeline] = WeakSet()


def sent_as_one(pipe: Pipeline) -> list[list[Command]]:
    """Return the commands of a pipeline of the application: all together if they are a transaction, else one by one."""
    if pipe not in _of_application:
        return []
    commands = [command for command, _ in pipe.command_stack]
    return (
        [commands]
        if bool(vars(pipe)["transaction"]) or pipe.explicit_transaction
        else [[command] for command in commands]
    )


@contextmanager
def slots_recorded(found: list[Crossing]) -> Iterator[None]:
    """Add to `found` what the application sends meanwhile, in any thread, with keys of several slots."""

    def judge(client: Redis, commands: Sequence[Command]) -> None:
        issuer = issuer_of(sys._getframe(2))
        if issuer is None:
            return
        if not _places:
            learn_commands(Redis(connection_pool=client.connection_pool))
        if keys := crossing_keys(commands):
            found.append(Crossing(issuer, keys))

    def execute_command(client: AppRedis, *command: Any, **options: Any) -> Any:
        judge(client, [command])
        return single(client, *command, **options)

    def pipeline(client: AppRedis, *args: Any, **options: Any) -> Pipeline:
        pipe = make_pipeline(client, *args, **options)
        _of_application.add(pipe)
        return pipe

    def execute(pipe: Pipeline, *args: Any, **options: Any) -> Any:
        for together in sent_as_one(pipe):
            judge(pipe, together)
        return several(pipe, *args, **options)

    single: Callable[..., Any] = AppRedis.execute_command
    make_pipeline: Callable[..., Pipeline] = AppRedis.pipeline
    several: Callable[..., Any] = Pipeline.execute
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AppRedis, "execute_command", execute_command)
        patch.setattr(AppRedis, "pipeline", pipeline)
        patch.setattr(Pipeline, "execute", execute)
        yield
