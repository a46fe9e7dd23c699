"""Keeps the files of deleted pictures while a backup is made.

The database is dumped first and the files are copied afterwards. A file that was removed in between would be missing in
the backup, although the dump names it. So the sweep that removes files, of whichever machine, waits meanwhile.
"""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from redis.exceptions import RedisError

from deploy.backup.errors import BackupError
from deploy.backup.redis_snapshot import away
from swiper.tasks.queue import Turn

SWEEP = "remove_files"
LEASE_SECONDS = 60.0
# A turn of the sweep ends sooner.
PATIENCE_SECONDS = 120.0
PAUSE_SECONDS = 0.2


@contextmanager
def removals_held(app: Flask) -> Iterator[None]:
    """Keep the sweep from running. Raises BackupError if Redis fails, or if the sweep ran meanwhile after all."""
    turn = _take(app)
    ended, lost = threading.Event(), threading.Event()
    thread = threading.Thread(target=_renew, args=(app, turn, ended, lost), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    with app.app_context():
        _check(turn, lost)


def _take(app: Flask) -> Turn:
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        while True:
            with app.app_context():
                turn = Turn(SWEEP, LEASE_SECONDS)
            if turn:
                turn.deadline = math.inf
                return turn
            if time.monotonic() > deadline:
                raise BackupError("another backup runs, or the sweep of removed pictures does not end")
            time.sleep(PAUSE_SECONDS)
    except RedisError as error:
        raise away(error) from error


def _renew(app: Flask, turn: Turn, ended: threading.Event, lost: threading.Event) -> None:
    while not ended.wait(LEASE_SECONDS / 6):
        try:
            with app.app_context():
                if not turn.goes_on():
                    lost.set()
                    return
        except RedisError:
            # The lease outlasts an outage that is short; the next round, or the end, finds out.
            continue


def _check(turn: Turn, lost: threading.Event) -> None:
    try:
        if lost.is_set() or not turn.goes_on():
            raise BackupError("Redis has lost the lease that keeps the files of pictures; make the backup again")
        turn.give_back()
    except RedisError as error:
        raise away(error) from error
