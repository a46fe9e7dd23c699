"""Names of variables that Swiper does not have, in `.env` and in the environment, and the names that were meant."""

import io
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from dotenv.parser import parse_stream

from config.base import Fault

FILE = ".env"
# Variables in `.env` of programs that may share it with Swiper.
FOREIGN = ("FLASK_", "PYTHON", "GUNICORN_", "COMPOSE_", "POSTGRES_", "MARIADB_", "MYSQL_")
NEAR_IN_FILE = 0.75
# An environment has variables of many programs. REDIS_ULR is near enough to REDIS_URL, REDIS_PORT is not.
NEAR_IN_ENVIRONMENT = 0.85
SHORTEST_IN_ENVIRONMENT = 8


class UnreadableError(ValueError):
    """`.env` cannot be read at all. The text says why."""


def names_in_file(path: Path) -> tuple[list[str], list[Fault]]:
    """Return the names that `.env` sets, and what is wrong with its lines. Raises UnreadableError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return [], []
    except UnicodeDecodeError:
        raise UnreadableError("must be text in UTF-8") from None
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from None
    names: list[str] = []
    faults: list[Fault] = []
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            faults.append(Fault(FILE, f"line {binding.original.line} is not NAME=value"))
        elif binding.key is not None and binding.value is None:
            faults.append(Fault(binding.key, f"has no value in {FILE}; write {binding.key}=value"))
        elif binding.key is not None:
            names.append(binding.key.upper())
    return names, faults


def unknown_names(known: Collection[str], in_file: Iterable[str], environment: Mapping[str, str]) -> list[Fault]:
    """Return a fault for each unknown name in `.env`, and for each in the environment that is near to a known one.

    In the environment, a name counts only if the known name is not set as well, and is not the name's end: UV_CACHE_DIR
    is the CACHE_DIR of another program.
    """
    in_file = list(dict.fromkeys(in_file))
    found = [fault for name in in_file if name not in known and (fault := _told_in_file(name, known))]
    is_set = {name.upper() for name in environment} | set(in_file)
    for name in sorted({name.upper() for name in environment} - set(known) - set(in_file)):
        nearest = _nearest(name, known, NEAR_IN_ENVIRONMENT)
        is_meant = nearest and nearest not in is_set and not name.endswith(f"_{nearest}")
        if is_meant and len(name) >= SHORTEST_IN_ENVIRONMENT:
            found.append(Fault(name, f"is no setting; did you mean {nearest}?"))
    return found


def _told_in_file(name: str, known: Collection[str]) -> Fault | None:
    nearest = _nearest(name, known, NEAR_IN_FILE)
    if nearest:
        return Fault(name, f"is no setting; did you mean {nearest}?")
    return None if name.startswith(FOREIGN) else Fault(name, f"is no setting of Swiper, and stands in {FILE}")


def _nearest(name: str, known: Collection[str], cutoff: float) -> str | None:
    return next(iter(get_close_matches(name, known, n=1, cutoff=cutoff)), None)
