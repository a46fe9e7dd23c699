"""A real standby of PostgreSQL that applies everything ten seconds late: nobody misses what they have just written."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from chaos.replication import Standby
from chaos.servers import Postgres
from config.urls import with_driver
from swiper.admin.replica_families import families_of_replicas
from swiper.db import replica_lag
from swiper.db.replicas import FAILED, SERVED, STALE
from swiper.extensions import db
from swiper.tallies import Tally, tallies
from swiper.vip.levels import seed_levels
from tests.factories import People

LAG_SECONDS = 10


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One that the user of the servers may enter, unlike those of pytest."""
    made = Path(tempfile.mkdtemp(prefix="swiper-standby-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def primary(folder: Path) -> Iterator[Postgres]:
    with Postgres(folder / "primary") as server:
        yield server


def counted() -> set[str]:
    """How the reads since the last call that may lag were answered."""
    found = {name for name in tallies if name.startswith(Tally.REPLICA_READS)}
    for name in found:
        del tallies[name]
    return {name.removeprefix(Tally.REPLICA_READS) for name in found}


def wait_until_served(is_right: Callable[[], bool]) -> None:
    """Return when the replica has caught up; `is_right` reads, and is true before as well."""
    counted()
    deadline = time.monotonic() + 3 * LAG_SECONDS
    while counted() != {SERVED}:
        assert time.monotonic() < deadline
        assert is_right()
        time.sleep(0.1)


def test_own_writes_are_seen_at_once_and_a_replica_too_far_behind_is_not_read(
    make_app: Callable[..., Flask], primary: Postgres, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = primary.create_database("swiper")
    alone = make_app(database_url=with_driver(url))
    with alone.app_context():
        db.create_all(bind_key=None)
        seed_levels()
    people = People(alone)
    alice, bob, carl = people.woman(), people.add(), people.add()
    with Standby(folder / "standby", primary, f"recovery_min_apply_delay={LAG_SECONDS}s") as standby:
        behind = with_driver(standby.url("swiper"))
        patient, strict = (
            make_app(
                database_url=with_driver(url), database_replica_urls=[behind], database_replica_lag_seconds=seconds
            )
            for seconds in (60.0, 1.0)
        )
        alice.client = People(patient).client_of(alice.id)
        wait_until_served(lambda: set(alice.deck()) == {bob.id, carl.id})

        # The standby is used, and knows nothing of what follows: its delay stands still, however slow this machine is.
        standby.execute("SELECT pg_wal_replay_pause()")
        alice.post("/api/user/profile/modify", bio="written just now")
        alice.like(bob)
        assert alice.get("/api/user/profile").json["data"]["bio"] == "written just now"
        assert alice.get(f"/api/user/{alice.id}").json["data"]["bio"] == "written just now"
        assert alice.deck() == [carl.id]
        assert counted() == {SERVED}
        bob.like(alice)
        assert alice.friends() == [bob.id]
        counted()
        exported = alice.export().json["data"]
        assert [row["sid"] for row in exported["swipes"]] == [str(bob.id)]
        assert exported["account"][0]["bio"] == "written just now"
        assert counted() == {STALE}
        engine = create_engine(behind, poolclass=NullPool)
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT count(*) FROM swipes")) == 0

        # One that may lag a second finds out by itself that the standby does.
        alice.client = People(strict).client_of(alice.id)
        assert alice.deck() == [carl.id]
        assert counted() == {STALE}
        with strict.app_context():
            time.sleep(0.3)
            up, lag = families_of_replicas()
        assert up.samples[0].value == 1
        assert lag.samples[0].value > 0.2

        standby.execute("SELECT pg_wal_replay_resume()")
        wait_until_served(lambda: alice.deck() == [carl.id])

        # It ends: within the request the primary answers.
        monkeypatch.setattr(replica_lag, "REST_SECONDS", 0.0)
        standby.kill()
        assert alice.deck() == [carl.id]
        assert counted() <= {FAILED, STALE}
        with strict.app_context():
            (up, lag) = families_of_replicas()
        assert (up.samples[0].value, lag.samples) == (0, [])
