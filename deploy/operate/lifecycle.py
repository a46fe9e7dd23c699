"""`start`, `stop` and `status`."""

from deploy.operate.errors import OperateError
from deploy.operate.readiness import ask_readiness
from deploy.operate.registry import Arguments, argument, command
from deploy.operate.services import Service, services_of
from deploy.operate.site import Site
from deploy.operate.steps import Steps
from deploy.operate.supervision import Supervisor, release_of, supervisor_of, wait_until_ready

NAMES = argument("names", nargs="*", metavar="NAME", help="web, web-1, web-2, worker, beat, metrics; none: all")
# What `systemctl status` ends with if something does not run.
NOT_RUNNING = 3


@command("start", NAMES)
def start(site: Site, steps: Steps, given: Arguments) -> None:
    """Start what does not run yet, and wait until it can serve."""
    services, release, supervisor = services_of(given.names), site.current, supervisor_of(site)
    for service in services:
        if pid := supervisor.pid_of(service):
            steps.say(f"{service.name} runs already (pid {pid})")
        else:
            steps.do(f"start {service.name} of release {release.version}", lambda: supervisor.start(service, release))  # noqa: B023
    steps.do("wait until they can serve", lambda: wait_until_ready(site, supervisor, services))


@command("stop", NAMES)
def stop(site: Site, steps: Steps, given: Arguments) -> None:
    """Stop what runs, in the reverse order of the start; requests and tasks under way are finished."""
    supervisor = supervisor_of(site)
    for service in reversed(services_of(given.names)):
        if pid := supervisor.pid_of(service):
            steps.do(f"stop {service.name} (pid {pid})", lambda: supervisor.stop(service))  # noqa: B023
        else:
            steps.say(f"{service.name} does not run")


@command("status", locks=())
def status(site: Site, _steps: Steps, _given: Arguments) -> int:
    """Tell which release is installed and what runs; exit code 3 if something does not, or cannot serve."""
    print(f"site     {site.root}")
    for name, link in (("current", site.current_link), ("previous", site.previous_link)):
        print(f"{name:8} {link.resolve().name if link.is_symlink() else 'none'}")
    supervisor = supervisor_of(site)
    states = [_state(site, supervisor, service) for service in services_of([])]
    for _, text in states:
        print(text)
    return 0 if all(is_well for is_well, _ in states) else NOT_RUNNING


def _state(site: Site, supervisor: Supervisor, service: Service) -> tuple[bool, str]:
    pid = supervisor.pid_of(service)
    if pid is None:
        return False, f"{service.name:8} does not run"
    running = f"{service.name:8} runs release {release_of(pid)}, pid {pid}"
    if not service.web:
        return True, running
    try:
        is_ready, reason = ask_readiness(site.web_socket(service.web))
    except OperateError as error:
        is_ready, reason = False, str(error)
    return is_ready, f"{running}, {'ready' if is_ready else f'but {reason}'}"
