"""PostgreSQL behind PgBouncer in transaction mode."""

from chaos.engines.registry import engine
from chaos.engines.trial import Trial
from chaos.lab import POSTGRES
from chaos.replication import PgBouncer
from config.settings import Settings
from swiper import create_app
from swiper.cli.probes import probes_of, run_probes

CHECK_SECONDS = 20.0


@engine("PostgreSQL behind PgBouncer", {"pgbouncer": "pgbouncer"})
def pgbouncer(trial: Trial) -> None:
    """With the setting, as `flask check` asks for it."""
    server = trial.lab.server(POSTGRES)
    server.create_database("behind_pgbouncer")
    with PgBouncer(trial.folder("pooler"), server, "behind_pgbouncer") as pooler:
        trial.version = f"{pooler.ask('SELECT version()').split()[1]}, {pooler.pooler_version}"
        with trial.new_site(pooler.url("behind_pgbouncer"), database_behind_pgbouncer=True) as site:
            trial.travel(site)
            trial.race(site)
            told = {is_set: _told(site.settings, is_set) for is_set in (False, True)}
            trial.check(
                "flask check",
                "with and without DATABASE_BEHIND_PGBOUNCER",
                "it asks for the setting, and for nothing once it is set",
                "; ".join(f"{is_set}: {'; '.join(lines) or 'nothing'}" for is_set, lines in told.items()),
                not told[True] and len(told[False]) == 1 and "DATABASE_BEHIND_PGBOUNCER" in told[False][0],
            )

            def restart() -> None:
                pooler.kill()
                pooler.start()

            trial.endure(site, "pooler killed and started", restart, 5.0)


def _told(settings: Settings, is_set: bool) -> list[str]:
    """What `flask check` says of the servers."""
    changed = settings.model_copy(update={"database_behind_pgbouncer": is_set})
    app = create_app(changed)
    with app.app_context():
        return [str(fault) for fault in run_probes(probes_of(app, changed), CHECK_SECONDS, "")]
