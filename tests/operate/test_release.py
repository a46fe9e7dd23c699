"""`release` and `rollback`: what runs afterwards, and that a release which fails leaves the old one running.

That no request is lost is shown by the experiment `a_release_loses_no_request` of `make chaos`, with the real programs.
"""

import errno
import io
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.operate.locks import Part, site_locks
from deploy.operate.registry import COMMANDS
from deploy.operate.services import SERVICES
from tests.operate.light import LightSite

NAMES = {service.name for service in SERVICES}


@pytest.fixture
def light(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[LightSite]:
    """A site that runs release 1."""
    site = LightSite(tmp_path, monkeypatch, capsys)
    try:
        site.release("1")
        yield site
    finally:
        site.swiper("stop")


def steps(told: str) -> list[str]:
    return [line.removeprefix("swiper: ").split(" (")[0] for line in told.splitlines()]


def test_a_release_goes_forward_and_back(light: LightSite) -> None:
    before = light.pids()
    assert None not in before.values()
    assert light.asked() == ["1 db upgrade", "1 seed-vip", "1 check"]
    told = steps(light.release("2"))
    assert told[told.index("check the settings by release 2") :] == [
        "check the settings by release 2", "upgrade the schema", "add missing VIP levels",
        "check servers and schema by release 2",
        "keep release 1 as the previous one", "make release 2 the current one",
        "stop web-1", "start web-1 of release 2", "wait until web-1 can serve",
        "stop web-2", "start web-2 of release 2", "wait until web-2 can serve",
        "stop worker", "start worker of release 2", "stop beat", "start beat of release 2",
        "stop metrics", "start metrics of release 2", "wait until worker, beat, metrics can serve",
    ]  # fmt: skip
    assert light.running() == {"2"}
    after = light.pids()
    assert not set(before.values()) & set(after.values())
    assert "current  2\nprevious 1\n" in light.swiper("status")

    upgrades = light.asked()
    light.swiper("rollback")
    assert light.running() == {"1"}
    # The schema stays as it is.
    assert light.asked() == upgrades
    light.swiper("rollback")
    assert light.running() == {"2"}


def test_the_same_release_again_touches_nothing(light: LightSite) -> None:
    before = light.pids()
    assert "release 1 is built already" in light.release("1")
    assert light.pids() == before


@pytest.mark.parametrize(
    ("files", "told", "touched"),
    [
        ({"broken_gunicorn": ""}, "web-1 has ended:\nswiper: it is broken", {"web-1"}),
        ({"broken_worker": ""}, "worker has ended:\nswiper: it is broken", NAMES),
        ({"faults": "swiper: REDIS_URL: cannot be reached\n"}, "REDIS_URL: cannot be reached", set()),
    ],
)  # fmt: skip
def test_a_release_that_fails_leaves_the_old_one_running(
    light: LightSite, files: dict[str, str], told: str, touched: set[str]
) -> None:
    before = light.pids()
    assert told in light.release("2", code=1, **files)
    after = light.pids()
    assert None not in after.values()
    assert {name for name in after if after[name] != before[name]} == touched
    assert light.running() == {"1"}
    assert light.site.current.version == "1"
    assert not light.site.previous_link.is_symlink()


def test_an_instance_that_is_not_ready_stops_the_release(light: LightSite, monkeypatch: pytest.MonkeyPatch) -> None:
    before = light.pids()
    monkeypatch.setattr("deploy.operate.supervision.START_SECONDS", 1)
    assert "web-1 answers 503 after 1 s" in light.release("2", code=1, not_ready="")
    assert light.running() == {"1"}
    assert light.pids()["web-2"] == before["web-2"]


def test_a_first_release_that_fails_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site = LightSite(tmp_path, monkeypatch, capsys)
    assert "the first release has failed" in site.release("1", code=1, broken_gunicorn="")
    assert set(site.pids().values()) == {None}
    assert not site.site.current_link.is_symlink()
    assert "no release is installed" in site.swiper("start", code=1)
    assert "no release is installed" in site.swiper("rollback", code=1)


def test_a_restart_renews_one_process_after_the_other(light: LightSite) -> None:
    before = light.pids()
    assert steps(light.swiper("restart", "web"))[1:] == [
        "stop web-1", "start web-1 of release 1", "wait until web-1 can serve",
        "stop web-2", "start web-2 of release 1", "wait until web-2 can serve",
    ]  # fmt: skip
    after = light.pids()
    assert {name for name in after if after[name] != before[name]} == {"web-1", "web-2"}


def test_a_restart_stops_at_the_first_that_cannot_serve(light: LightSite) -> None:
    before = light.pids()
    (light.site.current.folder / "broken-gunicorn").touch()
    assert "web-1 has ended:\nswiper: it is broken" in light.swiper("restart", code=1)
    assert light.pids() == before | {"web-1": None}
    (light.site.current.folder / "broken-gunicorn").unlink()
    light.swiper("start")
    assert None not in light.pids().values()


def test_settings_that_the_former_release_refuses_stop_a_rollback(light: LightSite) -> None:
    light.release("2")
    before = light.pids()
    light.site.env_file.write_text("WRONG=1\n")
    assert "WRONG: is no setting" in light.swiper("rollback", code=1)
    assert "WRONG: is no setting" in light.swiper("restart", code=1)
    assert light.pids() == before
    assert light.site.current.version == "2"
    light.site.env_file.write_text("")


def test_a_dry_run_changes_nothing(light: LightSite) -> None:
    before, asked = light.pids(), light.asked()
    told = light.release("2", "--dry-run")
    assert "swiper: would make release 2 the current one" in told
    assert "swiper: would stop web-1" in told
    assert light.pids() == before
    assert light.asked() == asked
    assert [path.name for path in light.site.releases.iterdir()] == ["1"]
    assert "would stop web-1" in light.swiper("restart", "--dry-run")
    assert light.pids() == before


@pytest.mark.parametrize(
    ("running", "parts", "refused", "allowed"),
    [
        ("release", (Part.PROCESSES, Part.DATA), ("release", "rollback", "restart", "backup", "restore"), ()),
        ("backup", (Part.DATA,), ("release", "backup", "restore"), ("rollback", "restart", "stop", "start")),
        ("restore", (Part.PROCESSES, Part.DATA), ("release", "rollback", "start", "backup", "restore"), ()),
        ("stop", (Part.PROCESSES,), ("release", "start", "restore"), ("status",)),
    ],
)
def test_a_command_that_another_one_would_disturb_is_refused_and_told_what_runs(
    light: LightSite, running: str, parts: tuple[Part, ...], refused: tuple[str, ...], allowed: tuple[str, ...]
) -> None:
    assert COMMANDS[running].locks == parts
    light.release("2")
    more = {"release": ["3"], "restore": ["none.tar"]}
    before = light.site.current
    with site_locks(light.site, parts, running):
        for name in refused:
            told = light.swiper(name, *more.get(name, []), code=1)
            assert f"swiper: {running} (pid {os.getpid()}, since 20" in told
            assert "try again when it has ended" in told
        assert light.site.current == before
        for name in allowed:
            light.swiper(name)
    light.swiper("start")


def test_what_a_killed_command_has_left_in_the_lock_stops_nobody(light: LightSite) -> None:
    (light.site.run / "operate.lock").write_text("release (pid 1, since 2026-01-01 00:00:00) and more of it\n")
    light.swiper("restart", "beat")
    assert (light.site.run / "operate.lock").read_text() == ""


class ClosedPipe(io.StringIO):
    """What `print` gets when `| tee log` was ended by the same Ctrl-C."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_a_release_that_is_interrupted_leaves_the_old_one_running_even_if_nobody_reads(
    light: LightSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def close_the_terminal(*_: object) -> None:
        monkeypatch.setattr("deploy.operate.changes.wait_until_ready", lambda *_: None)
        monkeypatch.setattr(sys, "stdout", ClosedPipe())
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(5)

    monkeypatch.setattr("deploy.operate.changes.wait_until_ready", close_the_terminal)
    # The suite may run below `nohup`.
    outer = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        light.release("2", code=130)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, outer)
    assert light.running() == {"1"}
    assert None not in light.pids().values()
    assert light.site.current.version == "1"


def test_a_dry_run_that_fails_changes_nothing(light: LightSite) -> None:
    pid_file = light.site.run / "beat.pid"
    content = pid_file.read_text()
    pid_file.write_text("damaged")
    try:
        assert "is damaged" in light.release("2", "--dry-run", code=1)
    finally:
        pid_file.write_text(content)
    assert light.site.current.version == "1"
    assert light.running() == {"1"}


def test_a_release_can_be_read_by_the_site_whatever_the_shell_of_the_operator_says(light: LightSite) -> None:
    former = os.umask(0o077)
    try:
        light.release("2")
    finally:
        os.umask(former)
    made = light.site.releases / "2"
    assert made.stat().st_mode & 0o777 == (made / "config").stat().st_mode & 0o777 == 0o755
    assert (made / "config/load.py").stat().st_mode & 0o777 == 0o644


def test_a_build_that_fails_leaves_nothing(light: LightSite, monkeypatch: pytest.MonkeyPatch) -> None:
    (light.code("2") / "swiper/wrong.py").write_text("this is no Python\n")
    assert "remove what was built of release 2" in light.release("2", code=1)
    assert [path.name for path in light.site.releases.iterdir()] == ["1"]
    assert light.running() == {"1"}


def test_what_a_killed_release_has_built_goes_with_the_next_one(light: LightSite) -> None:
    for name in ("half", "2"):
        (light.site.releases / name / "swiper").mkdir(parents=True)
    assert "which was not built to its end" in light.release("2")
    assert {path.name for path in light.site.releases.iterdir()} == {"1", "2"}
    assert light.running() == {"2"}


def test_what_holds_locks_of_the_database_is_as_quick_as_the_requests_that_wait_for_them(light: LightSite) -> None:
    own = os.nice(0)
    told = (light.site.root / "priority.log").read_text().splitlines()
    assert told == [f"db upgrade {own}", f"seed-vip {own}", f"check {min(19, own + 10)}"]
