"""Supervision by systemd: the units of `deploy/systemd/`, once `install` has put them in place."""

from collections.abc import Sequence
from pathlib import Path

from deploy.operate.errors import OperateError
from deploy.operate.services import Service
from deploy.operate.site import Release, Site
from deploy.operate.steps import run_quietly

RUNNING = Path("/run/systemd/system")
UNITS = Path("/etc/systemd/system")


def is_managed(site: Site) -> bool:
    """Return True if systemd runs here and its units are those of this site."""
    unit = UNITS / "swiper-beat.service"
    return (
        RUNNING.is_dir() and unit.exists() and f"WorkingDirectory={site.root}/current" in unit.read_text().split("\n")
    )


class Systemd:
    """Starts and ends the units of a site. They run what `current` links to."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def pid_of(self, service: Service) -> int | None:
        """Return the id of the service's main process, or None if it does not run."""
        pid = int(run_quietly(["systemctl", "show", "--property=MainPID", "--value", service.unit]).strip() or 0)
        return pid or None

    def start(self, service: Service, release: Release) -> None:
        """Start the service's unit. Raises OperateError if `release` is not the current one."""
        if release != self.site.current:
            raise OperateError(f"systemd starts release {self.site.current.version}, not {release.version}")
        run_quietly(["systemctl", "start", service.unit])

    def stop(self, service: Service) -> None:
        """End the service's unit."""
        run_quietly(["systemctl", "stop", service.unit])

    def reload(self, service: Service) -> None:
        """Let gunicorn read its settings and code anew. Raises OperateError if it does not run."""
        run_quietly(["systemctl", "reload", service.unit])

    def tail(self, service: Service) -> str:
        """Return the last lines that the service has printed."""
        return run_quietly(["journalctl", "--no-pager", "--lines=15", "--output=cat", f"--unit={service.unit}"])

    def log_command(self, services: Sequence[Service], lines: int, is_followed: bool) -> list[str]:
        """Return the command that shows what the services print."""
        options = ["--follow"] if is_followed else ["--no-pager"]
        return ["journalctl", *options, f"--lines={lines}", *(f"--unit={service.unit}" for service in services)]
