"""PostgreSQL with a standby that takes over: both hosts are in the URL."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chaos.engines.registry import engine
from chaos.engines.trial import Trial
from chaos.experiments.sales import sell_out
from chaos.replication import Standby, SyncPostgres
from chaos.site import Site

# Within so many seconds all is well again, of which promoting a standby takes one or two.
LIMIT_SECONDS = 5.0
BUYERS, STOCK = 20, 5


@engine("PostgreSQL, two hosts in the URL", {"/usr/lib/postgresql/*/bin/pg_basebackup": "postgresql"})
def postgres_failover(trial: Trial) -> None:
    """The primary is killed; another one is frozen; each time the standby is promoted at once."""
    with _pair(trial, "killed", "{user}@{one},{other}/{name}?{kind}") as (primary, standby, url):
        trial.version = primary.version
        with trial.new_site(url, "killed") as site:
            trial.travel(site)
            trial.race(site)
            _take_over(trial, site, "primary killed", primary.kill, standby)
    with (
        _pair(trial, "frozen", "{user}@/{name}?host={one}&host={other}&{kind}") as (primary, standby, url),
        trial.new_site(url, "frozen") as site,
    ):
        _take_over(trial, site, "primary frozen", primary.freeze, standby)


@contextmanager
def _pair(trial: Trial, what: str, spelling: str) -> Iterator[tuple[SyncPostgres, Standby, str]]:
    """Yield a primary, its standby, and a URL that names both."""
    with (
        SyncPostgres(trial.folder(f"{what}-primary")) as primary,
        Standby(trial.folder(f"{what}-standby"), primary) as standby,
    ):
        primary.create_database("swiper")
        hosts = {"one": f"127.0.0.1:{primary.port}", "other": f"127.0.0.1:{standby.port}"}
        others = {"user": "postgres", "name": "swiper", "kind": "target_session_attrs=read-write"}
        yield primary, standby, f"postgresql://{spelling.format(**hosts, **others)}"


def _take_over(trial: Trial, site: Site, what: str, blow: Callable[[], None], standby: Standby) -> None:
    def fail_over() -> None:
        blow()
        standby.promote()

    trial.endure(site, what, fail_over, LIMIT_SECONDS)
    # The worker serves its tickets, so it has found the new primary as well.
    sale = sell_out(site, trial.title, BUYERS, STOCK)
    trial.check(f"sale after it ({what})", sale.done, sale.target, sale.measured, sale.passed)
