"""`reload`, `check`, `logs` and `status` on a site that runs; `restart` is that of a release (test_release.py)."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from deploy.operate import limits
from deploy.operate.pid_files import PidFiles
from deploy.operate.readiness import ask_readiness
from deploy.operate.services import services_of
from deploy.processes import wait_until
from tests.operate.sites import SiteFolder

WEB = services_of(["web"])


@pytest.fixture(scope="module")
def running(folder: SiteFolder) -> SiteFolder:
    """The site with its web instances."""
    folder.swiper("start", "web")
    return folder


@pytest.fixture(autouse=True)
def right_settings(running: SiteFolder, app: Flask) -> Iterator[None]:
    yield
    running.write_env()


def pids(folder: SiteFolder) -> list[int | None]:
    return [PidFiles(folder.site).pid_of(service) for service in WEB]


def test_a_reload_keeps_the_instances_and_renews_their_workers(running: SiteFolder) -> None:
    before, workers = pids(running), {process.pid for process in running.processes()} - set(pids(running))
    running.write_env(LOG_LEVEL="ERROR")
    told = running.swiper("reload", "web")
    assert "reload web-2" in told
    assert pids(running) == before
    assert not workers & {process.pid for process in running.processes()}
    assert all(ask_readiness(running.site.web_socket(service.web))[0] for service in WEB)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"WEB_CONCURRENCY": "many"}, "WEB_CONCURRENCY"),
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, "REDIS_URL"),
    ],
)
def test_wrong_settings_are_refused_and_touch_nothing(running: SiteFolder, change: dict[str, str], told: str) -> None:
    """gunicorn itself would end at such a HUP."""
    before = {process.pid for process in running.processes()}
    running.write_env(**change)
    assert told in running.swiper("reload", "web", code=1)
    assert {process.pid for process in running.processes()} == before
    assert all(ask_readiness(running.site.web_socket(service.web))[0] for service in WEB)


def test_a_check_tells_each_limit_in_a_line(running: SiteFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    nginx = running.site.nginx_file
    nginx.write_text("worker_rlimit_nofile 1000;\nevents {\n    worker_connections 512;\n}\n")
    try:
        told = running.swiper("check", code=1)
    finally:
        nginx.unlink()
    assert "swiper: nginx worker_connections: 512, 40960 wanted, too low: set it in" in told
    assert "swiper: nginx worker_rlimit_nofile: 1000, 1024 wanted, too low" in told
    assert "swiper: open files: " in told


def test_a_limit_of_the_kernel_that_is_too_low_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "somaxconn"
    monkeypatch.setattr(limits, "SOMAXCONN_FILE", file)
    assert list(limits.listen_queue()) == []
    for value, is_enough in (("128", False), ("4096", True)):
        file.write_text(value)
        (limit,) = limits.listen_queue()
        assert limit.is_enough is is_enough


def test_logs_are_those_of_the_named_process(running: SiteFolder) -> None:
    told = running.swiper("logs", "web-1", "-n", "200")
    assert "worker serves" in told
    assert "web-2" not in told
    assert "would run tail -n 50" in running.swiper("logs", "--dry-run")
    assert "there is no log" in running.swiper("logs", "beat", code=1)


def test_status_tells_an_instance_that_was_killed(running: SiteFolder) -> None:
    PidFiles(running.site).send(WEB[0], signal.SIGKILL)
    wait_until(lambda: pids(running)[0] is None, 20, "it lives")
    told = running.swiper("status", code=3)
    assert "web-1    does not run" in told
    assert "web-2    runs release 1.0" in told
    running.swiper("start", "web")
    assert None not in pids(running)
