"""`deploy/swiper start`, `stop` and `status` by pid files: what runs, what is told, and whom a signal may reach."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from config.settings import ROOT
from deploy.operate.errors import OperateError
from deploy.operate.pid_files import PidFiles, started_at
from deploy.operate.readiness import ask_readiness
from deploy.operate.services import SERVICES, Service
from deploy.operate.site import Owner, Site
from deploy.processes import wait_until
from tests.operate.sites import SCRIPT, SiteFolder
from tests.processes import is_running

NAMES = [service.name for service in SERVICES]


def test_a_site_is_started_once_and_stopped_without_a_trace(folder: SiteFolder, app: Flask) -> None:
    told = folder.swiper("status", code=3)
    assert [line for line in told.splitlines() if "does not run" in line] == [
        f"{name:8} does not run" for name in NAMES
    ]

    folder.swiper("start")
    told = folder.swiper("status")
    for name in NAMES:
        assert f"{name:8} runs release 1.0, pid " in told
    assert told.count(", ready") == 2
    running = {process.pid for process in folder.processes()}

    again = folder.swiper("start")
    assert again.count("runs already") == len(NAMES)
    assert {process.pid for process in folder.processes()} == running

    told = folder.swiper("stop")
    assert [line.split()[2] for line in told.splitlines()] == NAMES[::-1]
    assert folder.processes() == []
    assert list(folder.site.run.glob("*.pid")) == []
    assert folder.swiper("stop").count("does not run") == len(NAMES)


def test_a_dry_run_starts_nothing_and_writes_nothing(folder: SiteFolder) -> None:
    before = sorted(path.name for path in folder.site.run.iterdir())
    told = folder.swiper("start", "--dry-run")
    assert "swiper: would start web-1 of release 1.0" in told
    assert folder.processes() == []
    assert sorted(path.name for path in folder.site.run.iterdir()) == before


def test_a_start_that_fails_tells_why(folder: SiteFolder) -> None:
    folder.write_env(WEB_CONCURRENCY=0)
    try:
        told = folder.swiper("start", "web-1", code=1)
    finally:
        folder.write_env()
    assert "swiper: web-1 has ended:" in told
    assert "WEB_CONCURRENCY" in told
    assert folder.processes() == []


def test_the_operators_shell_has_no_say_in_the_settings(folder: SiteFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert "REDIS_URL" not in folder.site.environment()
    assert folder.site.settings()["redis_url"] == folder.values["REDIS_URL"]


def test_a_process_that_got_the_same_id_later_is_never_signalled(folder: SiteFolder) -> None:
    service = SERVICES[0]
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        try:
            start = started_at(stranger.pid)
            assert start
            file = folder.site.run / f"{service.name}.pid"
            file.write_text(f"{stranger.pid} {int(start) - 1}\n")
            supervisor = PidFiles(folder.site)
            assert supervisor.pid_of(service) is None
            assert not supervisor.send(service, signal.SIGKILL)
            supervisor.stop(service)
            assert is_running(stranger.pid)
            assert not file.exists()

            file.write_text(f"{stranger.pid} {start}\n")
            assert supervisor.pid_of(service) == stranger.pid
            assert supervisor.send(service, signal.SIGTERM)
            assert stranger.wait(10) == -signal.SIGTERM
            assert supervisor.pid_of(service) is None
        finally:
            stranger.kill()


def test_what_is_no_process_of_the_sites_account_is_never_signalled_by_root(
    folder: SiteFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = SERVICES[0]
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        try:
            file = folder.site.run / f"{service.name}.pid"
            file.write_text(f"{stranger.pid} {started_at(stranger.pid)}\n")
            monkeypatch.setattr("deploy.operate.pid_files.os.getuid", lambda: 0)
            monkeypatch.setattr(Site, "owner", Owner(os.getuid() + 4_321, 0))
            supervisor = PidFiles(folder.site)
            assert not supervisor.send(service, signal.SIGKILL)
            supervisor.stop(service)
            assert is_running(stranger.pid)
        finally:
            stranger.kill()


@pytest.mark.parametrize("name", ["run/operate.lock", "log/web-1.log"])
def test_a_link_of_the_sites_account_leads_root_nowhere(folder: SiteFolder, tmp_path: Path, name: str) -> None:
    precious, place = tmp_path / "precious", folder.site.root / name
    precious.write_text("what root alone may write")
    place.unlink(missing_ok=True)
    place.symlink_to(precious)
    try:
        assert str(place) in folder.swiper("start", "web-1", code=1)
    finally:
        place.unlink()
        folder.kill_all()
    assert precious.read_text() == "what root alone may write"


def test_a_process_that_ignores_the_end_is_killed_with_its_session(folder: SiteFolder, tmp_path: Path) -> None:
    program = "import signal, subprocess, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    program += (
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(subprocess.Popen(['sleep', '60']).pid))\ntime.sleep(60)"
    )
    stubborn = type(SERVICES[0])("stubborn", "", lambda *_: (sys.executable, "-c", program), 0.5)
    supervisor = PidFiles(folder.site)
    supervisor.start(stubborn, folder.site.current)
    pid = supervisor.pid_of(stubborn)
    assert pid
    child = tmp_path / "child"
    wait_until(lambda: child.exists() and child.read_text(), 20, "no child")
    supervisor.stop(stubborn)
    assert not is_running(pid)
    wait_until(lambda: not is_running(int(child.read_text())), 10, "the child lives")


# Ends as `kill -9` does, as soon as the child is there.
KILLED_START = """
import os, signal, subprocess, sys
from pathlib import Path
from deploy.operate.locks import Part, site_locks
from deploy.operate.pid_files import PidFiles
from deploy.operate.services import Service
from deploy.operate.site import Release, Site

class Killed(subprocess.Popen):
    def __init__(self, *words, **options):
        super().__init__(*words, **options)
        os.kill(os.getpid(), signal.SIGKILL)

def kill_before_the_note(pid):
    if os.getpid() != starter:
        os.kill(starter, signal.SIGKILL)
        while not Path(sys.argv[3]).exists():
            time.sleep(0.01)
    return started_at(pid)

import time
from deploy.operate import pid_files
starter, started_at = os.getpid(), pid_files.started_at
if sys.argv[2] == "after":
    subprocess.Popen = Killed
else:
    pid_files.started_at = kill_before_the_note
site = Site(Path(sys.argv[1]))
program = "import time; print(1, flush=True); time.sleep(60)"
with site_locks(site, [Part.PROCESSES], "start"):
    service = Service("lonely", "", lambda *_: (sys.executable, "-c", program), 1)
    PidFiles(site).start(service, Release(site.releases / "1.0"))
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_start_that_is_killed_leaves_no_process_without_its_file(
    folder: SiteFolder, tmp_path: Path, moment: str
) -> None:
    """Before or after the child has written it; until it has, other commands wait."""
    command = [sys.executable, "-c", KILLED_START, str(folder.site.root), moment, str(tmp_path / "go on")]
    done = subprocess.run(command, cwd=ROOT, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    lonely, supervisor = Service("lonely", "", lambda *_: (), 5), PidFiles(folder.site)
    if moment == "before":
        assert "start (pid " in folder.swiper("stop", "beat", code=1)
        (tmp_path / "go on").touch()
    wait_until(lambda: supervisor.log_of(lonely).read_text(), 20, "it does not start")
    pid = supervisor.pid_of(lonely)
    assert pid
    folder.swiper("stop", "beat")
    supervisor.stop(lonely)
    assert not is_running(pid)
    supervisor.log_of(lonely).unlink()


def test_a_command_that_is_told_to_end_says_so(folder: SiteFolder) -> None:
    command = [sys.executable, str(SCRIPT), "--site", str(folder.site.root), "start", "beat"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        assert "start beat" in program.stdout.readline()
        program.send_signal(signal.SIGTERM)
        assert "swiper: start was interrupted" in program.stdout.read()
        assert program.wait(20) == 130
    folder.swiper("stop")
    assert folder.processes() == []


def test_a_process_whose_file_cannot_be_written_is_not_started(folder: SiteFolder) -> None:
    (folder.site.run / "beat.pid").mkdir()
    (folder.site.run / "beat.pid/full").touch()
    try:
        supervisor = PidFiles(folder.site)
        with pytest.raises(OperateError, match=r"beat was not started: .*beat\.pid cannot be written"):
            supervisor.start(next(each for each in SERVICES if each.name == "beat"), folder.site.current)
    finally:
        shutil.rmtree(folder.site.run / "beat.pid")
    assert folder.processes() == []


def test_one_command_changes_a_site_at_a_time(folder: SiteFolder) -> None:
    holder = "import fcntl, sys, time\nfile = open(sys.argv[1], 'w')\nfcntl.flock(file, fcntl.LOCK_EX)\n"
    holder += "print(1, flush=True)\ntime.sleep(60)"
    command = [sys.executable, "-c", holder, str(folder.site.run / "operate.lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout
            other.stdout.readline()
            assert "another command runs on" in folder.swiper("stop", code=1)
            folder.swiper("status", code=3)
        finally:
            other.kill()


def test_a_folder_that_is_no_site_is_refused(folder: SiteFolder, tmp_path: Path) -> None:
    assert "is no site" in folder.swiper("--site", tmp_path, "start", code=1)
    assert list(tmp_path.iterdir()) == []


def test_the_readiness_tells_what_fails(tmp_path: Path) -> None:
    assert ask_readiness(tmp_path / "none.sock") == (False, "does not listen")


def test_children_get_no_secret_in_their_arguments(folder: SiteFolder) -> None:
    for service in SERVICES:
        words = " ".join(service.command(folder.site, folder.site.current))
        assert folder.values["SECRET_KEY"] not in words
        assert folder.values["REDIS_URL"] not in words
