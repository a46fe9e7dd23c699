"""What a backup has of Redis and of the settings, and how long the sweep of files waits."""

import errno
import gzip
import io
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from config.settings import Settings
from deploy.backup import hold
from deploy.backup.errors import BackupError
from deploy.backup.redis_snapshot import SiteRedis
from deploy.backup.settings_part import without_secrets, write_settings
from deploy.operate.steps import say
from swiper.auth.sessions import key_of
from tests.factories import People, session_id_of

HOUR_MS = 3_600_000


@pytest.fixture
def site_redis(settings: Settings) -> SiteRedis:
    return SiteRedis(settings.redis_url, settings.key_prefix)


@pytest.fixture
def client(app: Flask) -> Redis:
    redis: Redis = app.extensions["redis"]
    return redis


def test_budgets_are_kept_with_their_ends_and_sessions_are_not(
    client: Redis, people: People, site_redis: SiteRedis, private: Path
) -> None:
    session_id = session_id_of(people.add().client)
    people.app.test_client().post("/api/user/verify", json={"phonenum": "13800138000"})
    client.set("{p:abc}:day", 7, px=HOUR_MS)
    client.set("{p:abc}:codes", "a valid code", px=HOUR_MS)
    client.zadd("{ranking}", {"1": 5})
    assert site_redis.save(private / "plain", with_sessions=False) > 2
    assert site_redis.save(private / "all", with_sessions=True) > 3
    spent, ends = client.get("sms:all"), client.pttl("{p:abc}:day")
    client.flushdb()
    site_redis.restore(private / "plain")
    assert client.get("sms:all") == spent is not None
    assert client.get("{p:abc}:day") == b"7"
    assert ends - 60_000 < client.pttl("{p:abc}:day") <= ends
    assert {key for key in client.scan_iter() if b"session" in key or b"codes" in key or b"ranking" in key} == set()
    site_redis.restore(private / "all")
    with people.app.app_context():
        assert client.exists(key_of(session_id)) == 1


def test_what_has_run_out_or_is_there_already_is_not_restored(
    client: Redis, site_redis: SiteRedis, private: Path
) -> None:
    client.set("{p:abc}:day", 7, px=HOUR_MS)
    client.set("{p:abc}:hour", 3, px=20)
    site_redis.save(private / "file", with_sessions=False)
    client.flushdb()
    client.set("{p:abc}:day", 9)
    time.sleep(0.03)
    assert site_redis.restore(private / "file") == (0, 0)
    assert client.get("{p:abc}:day") == b"9"
    assert client.get("{p:abc}:hour") is None


def test_a_site_with_a_name_has_its_own_keys_alone(client: Redis, settings: Settings, private: Path) -> None:
    north, south = SiteRedis(settings.redis_url, "north:"), SiteRedis(settings.redis_url, "south:")
    client.set("north:sms:all", 1)
    client.set("south:sms:all", 2)
    assert north.save(private / "file", with_sessions=False) == 1
    north.clear()
    assert client.get("north:sms:all") is None
    assert client.get("south:sms:all") == b"2"
    south.clear()
    assert south.restore(private / "file") == (1, 0)
    assert client.get("south:sms:all") == b"1"


SECRETS = {
    "secret_key": "secret-one" * 4,
    "secret_key_fallbacks": ["secret-two" * 4],
    "aliyun_access_key_id": "secret-three",
    "aliyun_access_key_secret": "secret-four",
    "ronglian_auth_token": "secret-five",
    "qiniu_access_key": "secret-six",
    "qiniu_secret_key": "secret-seven",
    "s3_access_key_id": "secret-eight",
    "s3_secret_access_key": "secret-nine",
    "payment_secret": "secret-ten",
    "database_url": "postgresql://swiper:secret-a@db.example/site",
    "database_replica_urls": ["postgresql://swiper:secret-b@one.example/site", "postgresql://two.example/site"],
    "redis_url": "redis://:secret-c@redis.example/0",
    "celery_broker_url": "redis://:secret-d@redis.example/1",
    "celery_result_backend": "db+postgresql://swiper:secret-e@db.example/site",
}


def test_settings_are_kept_without_their_secrets(settings: Settings, private: Path) -> None:
    changed = settings.model_copy(update=SECRETS | {"likes_per_day": 7})
    for name, with_secrets in (("plain", False), ("all", True)):
        write_settings(changed, private / name, with_secrets=with_secrets)
    plain, everything = (private / "plain").read_text(), (private / "all").read_text()
    assert all(f"secret-{name}" in everything for name in ("one", "two", "three", "ten", "a@", "b@", "c@", "d@", "e@"))
    assert "secret-" not in plain
    assert "# SECRET_KEY is secret and left out\n" in plain
    assert "DATABASE_URL=postgresql://swiper@db.example/site\n" in plain
    assert "DATABASE_REPLICA_URLS=postgresql://swiper@one.example/site,postgresql://two.example/site\n" in plain
    assert "LIKES_PER_DAY=7\n" in plain
    assert "SUPERLIKES_PER_DAY" not in plain


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        # SQLAlchemy takes such passwords as they are.
        ("DATABASE_URL", "postgresql://swiper:pass,word@db.example/site", "postgresql://swiper@db.example/site"),
        ("DATABASE_URL", "postgresql://swiper:pa/ss?wo#rd@db.example/site", "postgresql://swiper@db.example/site"),
        ("CELERY_BROKER_URL", "sentinel://:password@one:26379;sentinel://:password@two:26379/0",
         "sentinel://@one:26379;sentinel://@two:26379/0"),
        ("REDIS_URL", "unix:///run/redis.sock?db=1&password=word", "unix:///run/redis.sock"),
        ("REDIS_URL", "redis://one.example/0?db=1", "redis://one.example/0?db=1"),
        ("PAYMENT_SECRET", "word://word", None),
    ],
)  # fmt: skip
def test_no_password_of_an_address_is_kept(name: str, value: str, shown: str | None) -> None:
    assert without_secrets(name, value) == shown


def test_every_secret_of_the_settings_is_known_here() -> None:
    words = ("secret", "key", "token", "password")
    named = {name for name in Settings.model_fields if any(word in name.split("_") for word in words)}
    assert named <= set(SECRETS)


def run_sweep(app: Flask) -> list[Any]:
    app.extensions["celery"].tasks["profiles.sweep_files"]()
    return []


def test_no_file_is_removed_while_a_backup_is_made(app: Flask, client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    swept: list[str] = []
    monkeypatch.setattr("swiper.profiles.upload_pushes.pending_removals", lambda: ["a key"])
    monkeypatch.setattr("swiper.profiles.upload_pushes.remove_file", swept.append)
    # Renewed many times while it is held.
    monkeypatch.setattr(hold, "LEASE_SECONDS", 0.3)
    with hold.removals_held(app):
        time.sleep(0.6)
        run_sweep(app)
        assert swept == []
    run_sweep(app)
    assert swept == ["a key"]


def test_a_backup_during_which_the_sweep_may_have_run_fails(app: Flask, client: Redis) -> None:
    with pytest.raises(BackupError, match="has lost the lease"), hold.removals_held(app):
        client.set(f"alone:{hold.SWEEP}", "another process")


def test_what_a_later_redis_has_written_is_left_out_and_told(
    client: Redis, site_redis: SiteRedis, private: Path
) -> None:
    with gzip.open(private / "file", "wt") as file:
        file.write('{"name": "YQ==", "expires_ms": -1, "value": "YQ=="}\n')
    client.set("{p:abc}:day", 7)
    site_redis.save(private / "readable", with_sessions=False)
    client.delete("{p:abc}:day")
    with gzip.open(private / "file", "at") as file, gzip.open(private / "readable", "rt") as readable:
        file.write(readable.read())
    assert site_redis.restore(private / "file") == (1, 1)
    assert client.get("{p:abc}:day") == b"7"


def test_a_site_without_a_name_leaves_those_with_a_name_alone(client: Redis, site_redis: SiteRedis) -> None:
    for key in ("south:site", "south:{u:1}:session:x", "sms:all", "{u:1}:session:x", "{ranking}:built", "cache2:x"):
        client.set(key, 1)
    site_redis.clear_derived("cache2:")
    assert set(client.scan_iter()) == {b"south:site", b"south:{u:1}:session:x", b"sms:all", b"{u:1}:session:x"}
    assert site_redis.is_used()
    site_redis.clear()
    assert set(client.scan_iter()) == {b"south:site", b"south:{u:1}:session:x"}
    # What a site has that was installed and that nobody has used.
    client.set("site", 1)
    client.set("heartbeat:beat", 1)
    assert not site_redis.is_used()


def test_a_restore_goes_on_when_nobody_reads_what_it_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    class ClosedPipe(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(sys, "stdout", ClosedPipe())
    with pytest.raises(BrokenPipeError):
        print("a line")
    say("a line")
