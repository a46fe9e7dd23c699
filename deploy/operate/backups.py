"""`backup`, `restore` and `backup-key`, by the code of the current release, as the owner of the data."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.operate.errors import OperateError
from deploy.operate.locks import HELD, Part
from deploy.operate.registry import Arguments, argument, command
from deploy.operate.services import services_of
from deploy.operate.site import Site
from deploy.operate.steps import Steps
from deploy.operate.supervision import supervisor_of

KEY = argument("--key", metavar="FILE", help="a file of keys of age (see `backup-key`)")


@command(
    "backup",
    KEY,
    argument("--to", metavar="DIR", help="the folder of the backups; backups/ of the site when left out"),
    argument("--keep", type=int, default=7, metavar="N", help="how many backups stay (7)"),
    argument("--keep-days", type=int, default=0, metavar="N", help="for how many days older ones stay as well (0)"),
    argument("--with-sessions", action="store_true", help="also the sessions; only with a key"),
    argument("--with-secrets", action="store_true", help="also the secret settings; only with a key"),
    locks=(Part.DATA,),
)
def backup(site: Site, steps: Steps, given: Arguments) -> int:
    """Back up database, pictures, what is kept of Redis, and settings, while the site runs; remove old backups.

    docs/backup.md tells what is in it.
    """
    if not steps.is_dry_run:
        _make_folder(site)
    options = [f"--to={_absolute(given.to or site.backups)}", f"--keep={given.keep}", f"--keep-days={given.keep_days}"]
    flags = {
        "--with-sessions": given.with_sessions,
        "--with-secrets": given.with_secrets,
        "--dry-run": steps.is_dry_run,
    }
    return _run(site, ["create", *options, *_key_of(given), *[name for name, is_set in flags.items() if is_set]])


@command(
    "restore",
    argument("archive", help="a file of `backup`"),
    KEY,
    argument(
        "--deletions",
        action="append",
        default=[],
        metavar="DIR",
        help="a list of deleted accounts, beside that of the site; may be given several times",
    ),
    argument("--without-deletions", action="store_true", help="go on without any list of deleted accounts"),
    argument("--replace", action="store_true", help="remove what the site has"),
    locks=(Part.PROCESSES, Part.DATA),
)
def restore(site: Site, steps: Steps, given: Arguments) -> int:
    """Restore a backup into an empty site that does not run, and delete again who has deleted the account since.

    The whole archive is checked before anything is touched.
    """
    supervisor = supervisor_of(site)
    running = [service.name for service in services_of([]) if supervisor.pid_of(service)]
    if running:
        raise OperateError(f"{', '.join(running)} runs; stop the site first")
    _make_folder(site)
    options = [f"--deletions={_absolute(folder)}" for folder in given.deletions] + [f"--work={site.backups}"]
    flags = {
        "--without-deletions": given.without_deletions,
        "--replace": given.replace,
        "--dry-run": steps.is_dry_run,
    }
    chosen = [name for name, is_set in flags.items() if is_set]
    return _run(site, ["restore", *options, *_key_of(given), *chosen, "--", _absolute(given.archive)])


@command("backup-key", argument("file", help="a new file for the secret key"), locks=())
def backup_key(site: Site, steps: Steps, given: Arguments) -> int:
    """Make a key for encrypted backups, and tell its public part, which is enough to make them."""
    if steps.is_dry_run:
        steps.say(f"would write a key to {given.file}")
        return 0
    return _run(site, ["key", "--", _absolute(given.file)])


def _make_folder(site: Site) -> None:
    """Make the folder of the backups, for the owner of the data alone."""
    owner = site.owner
    if site.backups.exists():
        return
    site.backups.mkdir(mode=0o700)
    if not os.getuid():
        os.chown(site.backups, owner.uid, owner.gid, follow_symlinks=False)


def _key_of(given: Arguments) -> list[str]:
    return [f"--key={_absolute(given.key)}"] if given.key else []


def _absolute(path: str | Path) -> str:
    return str(Path(path).expanduser().absolute())


def _run(site: Site, arguments: Sequence[str]) -> int:
    """Run a command of `deploy.backup`, which tells its steps by itself. Return its exit code."""
    release = site.current
    done = subprocess.run(
        [release.bin / "python", "-m", "deploy.backup", *arguments],
        cwd=release.folder,
        env=site.environment(),
        stdin=subprocess.DEVNULL,
        check=False,
        # It works on if this process is killed, and so do its locks.
        pass_fds=HELD,
        **site.as_owner(),
    )
    sys.stdout.flush()
    return done.returncode
