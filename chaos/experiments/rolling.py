"""gunicorn processes die and are renewed while people read and swipe through nginx."""

import signal
from collections.abc import Callable, Iterator
from itertools import cycle, islice

from chaos.consistency import half_written, lost_swipes
from chaos.lab import MARIADB, POSTGRES, Lab
from chaos.report import Finding
from chaos.site import Site
from chaos.traffic import Crowd
from tests.processes import Program

TARGET = "0 failed requests seen by clients; every acknowledged swipe, and match, is in the database"
# Requests between one blow and the next.
PAUSE = 60

Blow = Callable[[Site, int], None]


def killed_processes_are_not_seen(lab: Lab) -> Iterator[Finding]:
    """Kill -9 of workers, kill -9 of whole instances, and HUP, one instance after the other."""
    blows: tuple[tuple[str, Blow, int], ...] = (
        ("kill -9 of a gunicorn worker", _kill_worker, lab.count(20, 2)),
        ("kill -9 of one of two instances", _kill_instance, lab.count(10, 1)),
        ("HUP of an instance", _reload, lab.count(20, 3)),
    )
    for database in (POSTGRES,) if lab.is_short else (POSTGRES, MARIADB):
        site = lab.site(database)
        for name, blow, times in blows:
            yield _under_load(site, f"{name}, {database}", blow, times)


def _under_load(site: Site, name: str, blow: Blow, times: int) -> Finding:
    with Crowd(site) as crowd:
        crowd.serve_more(PAUSE)
        for port in islice(cycle(site.ports), times):
            blow(site, port)
            crowd.serve_more(PAUSE)
    lost = lost_swipes(site, crowd.swipes)
    torn = half_written(site, [member.id for member in crowd.members])
    for text in (*crowd.failures, *lost, *torn)[:10]:
        print(f"     {text}")
    matches = sum(swipe.is_matched for swipe in crowd.swipes)
    return Finding(
        name,
        f"{times} times, {crowd.requests:,} reads and swipes by 6 clients on kept connections through nginx",
        TARGET,
        f"{len(crowd.failures)} failed; of {len(crowd.swipes):,} acknowledged swipes and {matches:,} matches "
        f"{len(lost)} lost, {len(torn)} half-written; slowest answer {crowd.slowest:.1f} s",
        not (crowd.failures or lost or torn) and matches > 0,
    )


def _kill_worker(site: Site, port: int) -> None:
    program = site.instances[port]
    _until_renewed(program, lambda: [worker.kill() for worker in program.children()])
    site.wait_for_instance(port)


def _kill_instance(site: Site, port: int) -> None:
    site.instances[port].kill()
    site.start_instance(port)
    site.wait_for_instance(port)


def _reload(site: Site, port: int) -> None:
    program = site.instances[port]
    _until_renewed(program, lambda: program.send(signal.SIGHUP))


def _until_renewed(program: Program, blow: Callable[[], object]) -> None:
    """Strike, and return when none of the former workers is left and there is a new one."""
    before = {worker.pid for worker in program.children()}
    blow()

    def is_renewed() -> bool:
        now = {worker.pid for worker in program.children()}
        return bool(now) and not before & now

    program.wait_for(is_renewed, "no new worker")
