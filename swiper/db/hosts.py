"""Connects to one of several PostgreSQL servers: the one that has answered last is asked first.

After a failover another of them takes the writes. The former primary may refuse, or accept and never answer.
"""

import logging
import random
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import psycopg

from swiper.db.time_limits import TimeLimit

log = logging.getLogger(__name__)

C = TypeVar("C")
Host = tuple[str, str]
# What the servers of one address list are asked for, and the order in which they are asked.
Order = tuple[tuple[Host, ...], Any]

DEFAULT_PORT = "5432"
_orders: dict[Order, list[Host]] = {}
_lock = threading.Lock()


def has_several_hosts(parameters: Mapping[str, Any]) -> bool:
    """Return True if the parameters of a connection, or those of a URL's query, name several hosts."""
    return "," in str(parameters.get("host", "")) and "hostaddr" not in parameters


def connect_in_turn(connect: Callable[..., C], parameters: dict[str, Any], seconds: float) -> C:
    """Return the first connection that one of the hosts of `parameters` accepts.

    `connect` takes the parameters of psycopg. In a gevent worker all attempts together take `seconds` at most, each
    host an equal part of them; elsewhere `connect_timeout` limits each attempt. Raises psycopg's OperationalError with
    what each host has answered.
    """
    wanted = parameters.get("target_session_attrs")
    hosts = _hosts_of(parameters)
    order = _order_of((hosts, wanted), parameters.get("load_balance_hosts"))
    # Any server is better than none, but only after all were asked for a standby.
    rounds = ["standby", "any"] if wanted == "prefer-standby" else [wanted]
    failures: list[tuple[Host, psycopg.Error]] = []
    for kind in rounds:
        for host in order:
            own = parameters | {"host": host[0], "port": host[1], "target_session_attrs": kind}
            try:
                with TimeLimit(seconds / len(order) / len(rounds), psycopg.OperationalError):
                    made = connect(**{name: value for name, value in own.items() if value is not None})
            except BaseException as error:
                # The limit of the caller may end the wait as well, so the next attempt begins elsewhere.
                _place(host, (hosts, wanted), is_first=False)
                if not isinstance(error, psycopg.Error):
                    raise
                failures.append((host, error))
            else:
                _place(host, (hosts, wanted), is_first=True)
                return made
    raise _joined(failures)


def ask_last(host: str, port: int) -> None:
    """Let a server that was found dead be asked last, wherever it is one of several."""
    for key in list(_orders):
        _place((host, str(port)), key, is_first=False)


def _hosts_of(parameters: dict[str, Any]) -> tuple[Host, ...]:
    hosts = str(parameters["host"]).split(",")
    ports = str(parameters.get("port") or "").split(",")
    # One port is that of all hosts.
    ports = ports * len(hosts) if len(ports) == 1 else ports
    return tuple((host, port or DEFAULT_PORT) for host, port in zip(hosts, ports, strict=True))


def _order_of(key: Order, balance: Any) -> list[Host]:
    hosts, _ = key
    if balance == "random":
        return random.sample(hosts, len(hosts))
    with _lock:
        return list(_orders.setdefault(key, list(hosts)))


def _place(host: Host, key: Order, *, is_first: bool) -> None:
    """Let a host be asked first, or last, from now on."""
    with _lock:
        order = _orders.get(key, [])
        if host in order and order.index(host) != (0 if is_first else len(order) - 1):
            order.remove(host)
            order.insert(0 if is_first else len(order), host)
            if is_first:
                log.info("the database is at %s:%s from now on", *host)


def _joined(failures: list[tuple[Host, psycopg.Error]]) -> psycopg.Error:
    """Return the error that has a number of the server, if there is one, or else the last, with the words of all."""
    words = "; ".join(f"{host}:{port}: {' '.join(str(error.args[-1]).split())}" for (host, port), error in failures)
    chosen = next((error for _, error in failures if error.sqlstate), failures[-1][1])
    if not chosen.sqlstate:
        return psycopg.OperationalError(words)
    chosen.args = (words,)
    return chosen
