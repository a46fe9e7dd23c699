"""What starts and ends the processes of a site: systemd where its units are those of the site, or else pid files."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from deploy.operate.errors import OperateError
from deploy.operate.pid_files import PidFiles
from deploy.operate.readiness import ask_readiness
from deploy.operate.services import Service
from deploy.operate.site import Release, Site
from deploy.operate.systemd import Systemd, is_managed

# A machine that starts everything at once is slow; a process that fails is noticed at once.
START_SECONDS = 90
POLL_SECONDS = 0.2
# What cannot be asked whether it is ready, and has lived so long, has loaded the application.
STEADY_SECONDS = 6


class Supervisor(Protocol):
    """See `PidFiles`."""

    def pid_of(self, service: Service) -> int | None:
        """Return the id of the service's process, or None if it does not run."""

    def start(self, service: Service, release: Release) -> None:
        """Start the service's process by the code of `release`."""

    def stop(self, service: Service) -> None:
        """End the service's process."""

    def reload(self, service: Service) -> None:
        """Let gunicorn read its settings and code anew."""

    def tail(self, service: Service) -> str:
        """Return the last lines that the service has printed."""

    def log_command(self, services: Sequence[Service], lines: int, is_followed: bool) -> list[str]:
        """Return the command that shows what the services print."""


def supervisor_of(site: Site) -> Supervisor:
    """Return what supervises the site."""
    return Systemd(site) if is_managed(site) else PidFiles(site)


def release_of(pid: int) -> str:
    """Return the version of the release that a process runs, by its working folder; ? if that cannot be read."""
    try:
        return Path(f"/proc/{pid}/cwd").resolve(strict=True).name
    except OSError:
        return "?"


def wait_until_ready(site: Site, supervisor: Supervisor, services: Sequence[Service]) -> None:
    """Return when the web instances among `services` can serve and the others run.

    Raises OperateError with the end of its log for one that has ended or is not ready in time.
    """
    begin = time.monotonic()
    deadline, steady = begin + START_SECONDS, begin + (0 if all(each.web for each in services) else STEADY_SECONDS)
    waiting = [service for service in services if service.web]
    while True:
        for service in services:
            if supervisor.pid_of(service) is None:
                raise OperateError(f"{service.name} has ended:\n{supervisor.tail(service)}")
        reasons = {service: ask_readiness(site.web_socket(service.web)) for service in waiting}
        waiting = [service for service, (is_ready, _) in reasons.items() if not is_ready]
        if not waiting and time.monotonic() >= steady:
            return
        if waiting and time.monotonic() > deadline:
            name, (_, reason) = waiting[0].name, reasons[waiting[0]]
            raise OperateError(f"{name} {reason} after {START_SECONDS} s:\n{supervisor.tail(waiting[0])}")
        time.sleep(POLL_SECONDS)
