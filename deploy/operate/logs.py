"""`logs`: what the processes and the application have logged."""

import os
import shutil

from deploy.operate.errors import OperateError
from deploy.operate.registry import Arguments, argument, command
from deploy.operate.services import services_of
from deploy.operate.site import Site
from deploy.operate.steps import Steps
from deploy.operate.supervision import supervisor_of

DEFAULT_LINES = 50


@command(
    "logs",
    argument("names", nargs="*", metavar="NAME", help="web, web-1, worker, beat, metrics; none: all"),
    argument("-f", "--follow", action="store_true", help="go on with what comes"),
    argument("-n", "--lines", type=int, default=DEFAULT_LINES, help="lines of each (default: %(default)s)"),
    locks=(),
)
def logs(site: Site, steps: Steps, given: Arguments) -> None:
    """Show the last lines that the processes have printed. The application's own files are in instance/logs."""
    command = supervisor_of(site).log_command(services_of(given.names), given.lines, given.follow)
    if steps.is_dry_run:
        return steps.say(f"would run {' '.join(command)}")
    program = shutil.which(command[0])
    if program is None:
        raise OperateError(f"{command[0]} is not installed")
    # In place of this process, so that Ctrl-C and a pager's end reach it alone.
    os.execv(program, command)  # noqa: S606
