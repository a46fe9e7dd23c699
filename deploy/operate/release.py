"""`release` and `rollback`: another version of the code, one process after the other, without a lost request."""

import shutil
from pathlib import Path

from deploy.operate.build import MARK, build, find_built, find_source, install_groups, remove_half_built
from deploy.operate.changes import restart_in_turn
from deploy.operate.checks import check_release
from deploy.operate.errors import OperateError
from deploy.operate.locks import Part
from deploy.operate.registry import Arguments, argument, command
from deploy.operate.services import SERVICES, Service
from deploy.operate.site import Release, Site
from deploy.operate.steps import Steps, switch_link
from deploy.operate.supervision import Supervisor, release_of, supervisor_of

KEPT_RELEASES = 5


@command(
    "release",
    argument("what", metavar="VERSION|PATH", help="a git tag or commit of this checkout, or a folder (with a /)"),
    argument("--name", help="what the release is called (default: the tag, or what git describes)"),
    argument("--environment", type=Path, metavar="DIR", help="an environment that is there, where no network is"),
    # A migration and a backup would wait for each other's locks on tables.
    locks=(Part.PROCESSES, Part.DATA),
)
def release(site: Site, steps: Steps, given: Arguments) -> None:
    """Build a version, upgrade the schema, and let one process after the other run it, or return to the old one.

    A web instance must answer /readyz before the next one is touched.
    """
    source = find_source(given.what, given.name)
    remove_half_built(site, steps)
    fresh = find_built(site, source.version)
    if fresh:
        steps.say(f"release {fresh.version} is built already")
        # The settings may need another group since.
        install_groups(steps, fresh)
    else:
        fresh = build(site, steps, source, given.environment and given.environment.absolute())
    steps.do(f"check the settings by release {fresh.version}", lambda: site.settings(fresh))
    _flask(site, steps, "upgrade the schema (it only expands, so the old release goes on)", fresh, "db", "upgrade")
    _flask(site, steps, "add missing VIP levels", fresh, "seed-vip")
    steps.do(f"check servers and schema by release {fresh.version}", lambda: check_release(site, fresh))
    switch(site, steps, fresh)
    _prune(site, steps)


@command("rollback")
def rollback(site: Site, steps: Steps, _given: Arguments) -> None:
    """Return to the release before, one process after the other. The schema stays, since it was only expanded."""
    former = site.previous
    if not (former.folder / MARK).exists():
        raise OperateError(f"release {former.version} is not complete any more")
    # Settings that only the newer release has would be refused at the start.
    steps.do(f"check the settings by release {former.version}", lambda: site.settings(former))
    switch(site, steps, former)


def switch(site: Site, steps: Steps, fresh: Release) -> None:
    """Let `current` point to `fresh`, and run it. Raises OperateError if it fails; then the old release runs on."""
    supervisor = supervisor_of(site)
    old = site.current if site.current_link.is_symlink() else None
    if old == fresh:
        steps.say(f"release {fresh.version} is the current one; what runs another one is restarted")
        return _run(site, steps, supervisor, fresh)
    before = site.previous if site.previous_link.is_symlink() else None
    if old:
        steps.do(f"keep release {old.version} as the previous one", lambda: switch_link(site.previous_link, old.folder))
    steps.do(f"make release {fresh.version} the current one", lambda: switch_link(site.current_link, fresh.folder))
    try:
        _run(site, steps, supervisor, fresh)
    except BaseException:
        if not steps.is_dry_run:
            _return_to(site, steps, supervisor, old, before)
        raise


def _run(site: Site, steps: Steps, supervisor: Supervisor, release: Release) -> None:
    """Restart in turn what does not run `release`."""
    services = [service for service in SERVICES if not _runs(supervisor, service, release)]
    restart_in_turn(site, steps, supervisor, services, release)


def _return_to(site: Site, steps: Steps, supervisor: Supervisor, old: Release | None, before: Release | None) -> None:
    if old is None:
        steps.say("the first release has failed: nothing runs")
        for service in SERVICES:
            supervisor.stop(service)
        site.current_link.unlink()
        return
    steps.say(f"release {old.version} is the current one again")
    switch_link(site.current_link, old.folder)
    if before:
        switch_link(site.previous_link, before.folder)
    else:
        site.previous_link.unlink()
    _run(site, steps, supervisor, old)


def _runs(supervisor: Supervisor, service: Service, release: Release) -> bool:
    pid = supervisor.pid_of(service)
    return pid is not None and release_of(pid) == release.version


def _flask(site: Site, steps: Steps, text: str, release: Release, *words: str) -> None:
    command: tuple[str | Path, ...] = (release.bin / "flask", *words)
    # It holds locks that requests wait for, so it does not stand behind them for a processor.
    steps.run(text, command, cwd=release.folder, env=site.environment(), account=site.as_owner(), is_urgent=True)


def _prune(site: Site, steps: Steps) -> None:
    """Remove the oldest releases; the current and the previous one stay in any case."""
    needed = {link.resolve() for link in (site.current_link, site.previous_link)}
    complete = [path.parent for path in site.releases.glob(f"*/{MARK}")]
    newest_first = sorted(complete, key=lambda path: (path / MARK).stat().st_mtime, reverse=True)
    for folder in newest_first[KEPT_RELEASES:]:
        if folder.resolve() not in needed:
            steps.do(f"remove release {folder.name}", lambda folder=folder: _remove(folder))  # type: ignore[misc]


def _remove(folder: Path) -> None:
    # First, so that what is left if this process is killed is no release.
    (folder / MARK).unlink()
    shutil.rmtree(folder)
