"""The processes of a site, in the order of their start."""

from collections.abc import Callable
from dataclasses import dataclass

from deploy.operate.errors import OperateError
from deploy.operate.site import Release, Site
from deploy.programs import beat_command, gunicorn_command, metrics_command, worker_command

WEB_INSTANCES = 2


@dataclass(frozen=True)
class Service:
    """One process that is supervised. `web` is the number of a web instance, 0 for what is none."""

    name: str
    unit: str
    command: Callable[[Site, Release], tuple[str, ...]]
    # After which it is killed: what gunicorn or Celery gives to work under way, and a little more.
    patience_seconds: float
    web: int = 0
    # Reads its settings and code anew at SIGHUP.
    is_gunicorn: bool = False


def _web(number: int) -> Service:
    def command(site: Site, release: Release) -> tuple[str, ...]:
        # Only nginx and the owner reach the socket. Control sockets of two instances would have the same path.
        bind = ("--bind", f"unix:{site.web_socket(number)}", "--no-control-socket")
        return gunicorn_command(release.bin, release.folder, *bind, "--name", f"swiper-web-{number}")

    return Service(f"web-{number}", f"swiper-web@{number}.service", command, 40, number, is_gunicorn=True)


SERVICES = (
    *(_web(number) for number in range(1, WEB_INSTANCES + 1)),
    # Tasks that are killed are done again: they are acknowledged late, and sweeps find their work.
    Service("worker", "swiper-worker.service", lambda _, at: worker_command(at.bin, at.folder), 60),
    Service("beat", "swiper-beat.service", lambda _, at: beat_command(at.bin, at.folder), 20),
    Service(
        *("metrics", "swiper-metrics.service", lambda _, at: metrics_command(at.bin, at.folder), 20), is_gunicorn=True
    ),
)


def services_of(names: list[str]) -> list[Service]:
    """Return the services of these names, all if there are none; `web` is all web instances. Raises OperateError."""
    known = {service.name for service in SERVICES} | {"web"}
    if unknown := set(names) - known:
        raise OperateError(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    return [each for each in SERVICES if not names or each.name in names or (each.web and "web" in names)]
