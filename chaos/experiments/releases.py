"""A release forward and a rollback by `deploy/swiper` while people read, swipe and change their profiles."""

import time
from collections.abc import Callable, Iterator

from chaos.consistency import half_written, lost_swipes
from chaos.lab import MARIADB, POSTGRES, Lab
from chaos.released_site import FIRST, SECOND, ReleasedSite
from chaos.report import Finding
from chaos.traffic import Crowd

TARGET = "0 failed requests seen by clients; every acknowledged swipe, and match, is in the database"
# Requests before the change and after it.
PAUSE = 100


def a_release_loses_no_request(lab: Lab) -> Iterator[Finding]:
    """The second release has one more migration; the rollback runs the first one on the newer schema."""
    for database in (POSTGRES,) if lab.is_short else (POSTGRES, MARIADB):
        with lab.new_released_site(database) as site:
            yield _under_load(site, f"release forward, {database}", site.release, SECOND)
            yield _under_load(site, f"rollback, {database}", site.roll_back, FIRST)


def _under_load(site: ReleasedSite, name: str, change: Callable[[], None], version: str) -> Finding:
    with Crowd(site, has_changes=True) as crowd:
        crowd.serve_more(PAUSE)
        started = time.monotonic()
        change()
        seconds = time.monotonic() - started
        crowd.serve_more(PAUSE)
    lost = lost_swipes(site, crowd.swipes)
    torn = half_written(site, [member.id for member in crowd.members])
    for text in (*crowd.failures, *lost, *torn)[:10]:
        print(f"     {text}")
    is_changed = site.versions() == {version}
    return Finding(
        name,
        f"{crowd.requests:,} reads, swipes and changes of profiles by 6 clients on kept connections through nginx, "
        f"while two instances, worker, beat and metrics are replaced in turn",
        TARGET,
        f"{len(crowd.failures)} failed in {seconds:.0f} s; of {crowd.changes:,} changes, {len(crowd.swipes):,} "
        f"acknowledged swipes {len(lost)} lost, {len(torn)} half-written; slowest answer {crowd.slowest:.1f} s"
        + ("" if is_changed else f"; but {', '.join(sorted(site.versions()))} runs"),
        not (crowd.failures or lost or torn) and is_changed and crowd.changes > 0,
    )
