"""Upgrades of a database with rows, while readers and writers use it; `make upgrade-drill` has a million rows."""

from collections.abc import Iterator

from chaos.lab import DATABASES, Lab
from chaos.report import Finding
from chaos.upgrade_drill import LONGEST_SECONDS, drill, settings_for

LONG_ROWS, SHORT_ROWS = 50_000, 4_500


def upgrades_keep_nobody_waiting(lab: Lab) -> Iterator[Finding]:
    """Bring a filled database from the first revision to each of the others, and use each table meanwhile."""
    rows = lab.count(LONG_ROWS, SHORT_ROWS)
    for database in DATABASES:
        folder, url = lab.new_place(database)
        folder.mkdir()
        steps = list(drill(settings_for(url, folder), lab.new_place(database)[1].replace("/swiper.db", ".db"), rows))
        seconds = sum(step.seconds for step in steps)
        slowest = max(steps, key=lambda step: step.longest)
        yield Finding(
            "an upgrade under load",
            f"{database}: {len(steps)} migrations of tables with {rows} rows each, read and written meanwhile",
            f"no lock keeps a reader or a writer waiting for {LONGEST_SECONDS:g} s",
            f"at most {slowest.longest:.2f} s, by {slowest.revision}; {seconds:.0f} s in all",
            slowest.longest <= LONGEST_SECONDS,
        )
