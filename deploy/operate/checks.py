"""`check`: `flask check` of the release, and the limits of the machine against what the units set."""

import subprocess
from collections.abc import Iterator

from deploy.operate.errors import OperateError
from deploy.operate.limits import Limit, listen_queue, nginx_limits, open_files, raise_open_files
from deploy.operate.registry import Arguments, command
from deploy.operate.services import SERVICES
from deploy.operate.site import Release, Site
from deploy.operate.steps import Steps, lower_priority
from deploy.operate.supervision import supervisor_of


@command("check", locks=())
def check(site: Site, steps: Steps, _given: Arguments) -> int:
    """Tell what is wrong with settings, folders, servers and schema, and where the machine's limits are too low.

    The exit code is 1 if anything is.
    """
    raise_open_files()
    faults = find_faults(site, site.current)
    for line in faults:
        print(line)
    limits = list(find_limits(site))
    for limit in limits:
        steps.say(str(limit))
    if faults or not all(limit.is_enough for limit in limits):
        return 1
    steps.say("everything is in order")
    return 0


def check_release(site: Site, release: Release) -> None:
    """Raise OperateError with each fault that `flask check` of `release` tells."""
    faults = find_faults(site, release)
    if faults:
        raise OperateError("\n".join(faults))


def find_faults(site: Site, release: Release) -> list[str]:
    """Return the lines of `flask check` of `release`, none if everything is in order."""
    done = subprocess.run(
        [release.bin / "flask", "check"],
        cwd=release.folder,
        env=site.environment(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lower_priority,
        **site.as_owner(),
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("swiper: ")]
    if done.returncode and not lines:
        lines = [f"swiper: flask check ended with code {done.returncode}", *done.stderr.splitlines()[-5:]]
    return lines if done.returncode else []


def find_limits(site: Site) -> Iterator[Limit]:
    """Return the limits of what runs; of what does not run, those that it would get from here."""
    supervisor = supervisor_of(site)
    yield open_files(pid for service in SERVICES if (pid := supervisor.pid_of(service)))
    yield from listen_queue()
    if site.nginx_file.exists():
        yield from nginx_limits(site.nginx_file)
