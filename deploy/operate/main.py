"""The command line of `deploy/swiper`."""

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.operate.errors import OperateError
from deploy.operate.registry import COMMANDS, site_lock
from deploy.operate.site import Site
from deploy.operate.steps import Steps

DEFAULT_SITE = "/opt/swiper"
OLDEST_PYTHON = (3, 11)
# The modules that register commands, in the order of the help.
MODULES = ("install", "checks", "lifecycle", "changes", "release", "logs", "backups")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the command line names. Return the exit code: 0, 1 for a refusal, 2 for a wrong line."""
    if sys.version_info < OLDEST_PYTHON:
        sys.exit("swiper: Python 3.11 or newer is needed")
    for module in MODULES:
        importlib.import_module(f"deploy.operate.{module}")
    given = _parser().parse_args(arguments)
    site, steps = Site(Path(given.site).expanduser().absolute()), Steps(given.dry_run)
    chosen = COMMANDS[given.command]
    try:
        with site_lock(site) if chosen.is_locked and not given.dry_run else contextlib.nullcontext():
            return chosen.run(site, steps, given) or 0
    except (OperateError, PermissionError) as error:
        for line in str(error).splitlines():
            print(f"swiper: {line.removeprefix('swiper: ')}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    top = argparse.ArgumentParser(prog="deploy/swiper", description="Operate one site of Swiper.")
    default = os.environ.get("SWIPER_SITE", DEFAULT_SITE)
    where = f"the folder of the site (now {default}; SWIPER_SITE)"
    dry = "tell each step and change nothing"
    top.add_argument("--site", metavar="DIR", default=default, help=where)
    top.add_argument("--dry-run", action="store_true", help=dry)
    # Behind the command as well. What is left out there must not overwrite what stands before.
    common.add_argument("--site", metavar="DIR", default=argparse.SUPPRESS, help=where)
    common.add_argument("--dry-run", action="store_true", default=argparse.SUPPRESS, help=dry)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for entry in COMMANDS.values():
        summary = entry.help.splitlines()[0]
        parser = commands.add_parser(entry.name, parents=[common], help=summary, description=entry.help)
        for each in entry.arguments:
            parser.add_argument(*each.names, **each.options)
    return top
