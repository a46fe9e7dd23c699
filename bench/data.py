"""Fills the database with people and swipes."""

import resource
import subprocess
import sys
import time
from dataclasses import dataclass

import psycopg

from config.settings import ROOT


@dataclass(frozen=True)
class Filled:
    """What filling cost and who is in it.

    `copy_seconds` is a plain COPY of the same people's rows. `idle` have swiped nobody, `busy` have swiped most,
    `liked` were liked most. Peaks are of resident memory.
    """

    seed_seconds: float
    seed_peak_kb: int
    copy_seconds: float
    swipe_seconds: float
    swipe_peak_kb: int
    idle: tuple[int, ...]
    busy: tuple[int, ...]
    liked: tuple[int, ...]


def make_people(app_env: dict[str, str], count: int) -> tuple[float, int]:
    """Run `flask seed-robots`; seconds and peak memory in KB."""
    started = time.monotonic()
    command = [sys.executable, "-m", "flask", "seed-robots", str(count)]
    subprocess.run(command, env=app_env, cwd=ROOT, check=True, capture_output=True)
    return time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


def fill(site_env: dict[str, str], database_url: str, people: int, swipes: int) -> Filled:
    """Add people and swipes until there are `people` and `swipes` of them in all."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        known = len(connection.execute("SELECT id FROM users").fetchall())
        seconds, peak = make_people(site_env, people - known)
        ids = [row[0] for row in connection.execute("SELECT id FROM users ORDER BY id")]
        started = time.monotonic()
        connection.execute("CREATE TEMP TABLE copied AS SELECT * FROM users")
        copied = time.monotonic() - started
        started = time.monotonic()
        busy, others = ids[:5], ids[5 : people // 2]
        most = min(20_000, people // 2)
        rows = [(uid, sid) for uid in busy for sid in ids[-most:]]
        each = max(1, (swipes - len(rows)) // len(others))
        rows += [(uid, ids[(place * 7 + step) % people]) for place, uid in enumerate(others) for step in range(each)]
        fresh = {(uid, sid) for uid, sid in rows if uid != sid}
        connection.execute("CREATE TEMP TABLE fresh (uid bigint, sid bigint)")
        with connection.cursor().copy("COPY fresh FROM STDIN") as copy:
            for row in fresh:
                copy.write_row(row)
        connection.execute(
            "INSERT INTO swipes SELECT uid, sid, 'like', now() - interval '1 day' FROM fresh ON CONFLICT DO NOTHING"
        )
        connection.execute(
            "INSERT INTO likes_in (sid, uid, is_super, liked_at) SELECT sid, uid, 0, swiped_at FROM swipes"
            " ON CONFLICT DO NOTHING"
        )
        connection.execute(
            "INSERT INTO pairs SELECT least(uid, sid), greatest(uid, sid),"
            " bit_or(CASE WHEN uid < sid THEN 1 ELSE 2 END), now() FROM swipes GROUP BY 1, 2 ON CONFLICT DO NOTHING"
        )
        return Filled(
            seconds,
            peak,
            copied,
            time.monotonic() - started,
            0,
            tuple(ids[people // 2 :]),
            tuple(busy),
            tuple(ids[-5:]),
        )
