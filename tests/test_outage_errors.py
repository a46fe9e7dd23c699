"""Which errors count as an outage: by the words of servers of several versions, never by what a caller sends."""

from pathlib import Path

import pytest
from flask import Flask
from kombu.exceptions import OperationalError as BrokerError
from redis._parsers.base import BaseParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from swiper.http.responses import as_api_error
from swiper.outages import is_broker_outage, is_cache_away, is_redis_outage

PASSING = [
    "READONLY You can't write against a read only replica.",
    "READONLY You can't write against a read only replica. script: a1b2, on @user_script:3.",
    "ERR Error running script (call to f_a1b2): @user_script:3: @user_script: 3: -READONLY You can't write against",
    "ERR Error running script (call to f_a1b2): @user_script:3: -OOM command not allowed when used memory",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "MISCONF Errors writing to the AOF file: No space left on device",
    "LOADING Redis is loading the dataset in memory",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "CLUSTERDOWN The cluster is down",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
    "NOREPLICAS Not enough good replicas to write.",
]
FAULTS = [
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "ERR unknown command 'FOO'",
    "ERR value is not an integer or out of range",
    "NOSCRIPT No matching script.",
    "BUSYKEY Target key name already exists.",
    "NOPERM this user has no permissions to run the 'set' command",
]


@pytest.mark.parametrize("text", PASSING)
def test_what_passes_by_itself_is_an_outage(app: Flask, text: str) -> None:
    error = BaseParser.parse_error(text)
    assert is_redis_outage(error)
    assert is_broker_outage(error)
    assert as_api_error(error).code == 1011
    # As redis-py tells the error of one command of several.
    told = type(error)(f"Command # 1 (SET a b) of pipeline caused error: {text}")
    assert is_redis_outage(told)


@pytest.mark.parametrize("text", FAULTS)
def test_what_does_not_pass_is_a_fault(app: Flask, text: str) -> None:
    error = BaseParser.parse_error(text)
    assert not is_redis_outage(error)
    assert not is_broker_outage(error)
    assert as_api_error(error).code == 1500


def test_a_server_that_is_gone_is_an_outage(tmp_path: Path) -> None:
    for error in (RedisConnectionError(), RedisTimeoutError()):
        assert is_redis_outage(error)
        assert is_cache_away(error)
    for error in (ConnectionRefusedError(), TimeoutError(), OSError(28, "")):
        assert is_cache_away(error)
        assert is_broker_outage(error)
    assert is_broker_outage(BrokerError())
    for fault in (DataError("a value of a wrong type"), ResponseError("ERR"), RuntimeError(), KeyError("x")):
        assert not is_cache_away(fault)
        assert not is_broker_outage(fault)
