"""`restart` and `reload`: one process after the other, and none before the settings were checked."""

import time
from collections.abc import Sequence
from pathlib import Path

from deploy.operate.checks import check_release
from deploy.operate.errors import OperateError
from deploy.operate.lifecycle import NAMES
from deploy.operate.registry import Arguments, command
from deploy.operate.services import Service, services_of
from deploy.operate.site import Release, Site
from deploy.operate.steps import Steps
from deploy.operate.supervision import Supervisor, supervisor_of, wait_until_ready

POLL_SECONDS = 0.1
RELOAD_SECONDS = 90


@command("restart", NAMES)
def restart(site: Site, steps: Steps, given: Arguments) -> None:
    """Restart one process after the other. The next one is not touched before the one before it can serve."""
    release = site.current
    steps.do(f"check the settings by release {release.version}", lambda: site.settings(release))
    restart_in_turn(site, steps, supervisor_of(site), services_of(given.names), release)


@command("reload", NAMES)
def reload(site: Site, steps: Steps, given: Arguments) -> None:
    """Let the processes read `.env` anew: web and metrics without a gap, worker and beat by a restart.

    With settings that `check` refuses nothing is touched, since gunicorn would end.
    """
    release, supervisor = site.current, supervisor_of(site)
    steps.do(f"check settings and servers by release {release.version}", lambda: check_release(site, release))
    for service in services_of(given.names):
        if not service.is_gunicorn:
            restart_in_turn(site, steps, supervisor, [service], release)
        elif supervisor.pid_of(service) is None:
            steps.say(f"{service.name} does not run")
        else:
            steps.do(f"reload {service.name}", lambda: _reload(site, supervisor, service))  # noqa: B023


def restart_in_turn(
    site: Site, steps: Steps, supervisor: Supervisor, services: Sequence[Service], release: Release
) -> None:
    """Stop and start each of `services` by the code of `release`: web instances in turn, then all others.

    Raises OperateError at the first that fails, and touches no further one.
    """
    web = [[service] for service in services if service.web]
    others = [service for service in services if not service.web]
    for group in (*web, others):
        for service in group:
            if supervisor.pid_of(service):
                steps.do(f"stop {service.name}", lambda: supervisor.stop(service))  # noqa: B023
            steps.do(f"start {service.name} of release {release.version}", lambda: supervisor.start(service, release))  # noqa: B023
        if group:
            names = ", ".join(service.name for service in group)
            steps.do(f"wait until {names} can serve", lambda: wait_until_ready(site, supervisor, group))  # noqa: B023


def _reload(site: Site, supervisor: Supervisor, service: Service) -> None:
    master = supervisor.pid_of(service)
    before = _children(master)
    supervisor.reload(service)
    deadline = time.monotonic() + RELOAD_SECONDS
    while True:
        now = _children(supervisor.pid_of(service))
        if now and not before & now:
            break
        if time.monotonic() > deadline or supervisor.pid_of(service) != master:
            raise OperateError(f"{service.name} has not taken the settings:\n{supervisor.tail(service)}")
        time.sleep(POLL_SECONDS)
    wait_until_ready(site, supervisor, [service])


def _children(pid: int | None) -> set[str]:
    """Return the ids of a process's children; none of one that has ended."""
    try:
        return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        return set()
