"""What an engine is put through, and what was found; it is filled step by step, so a fault leaves what came before."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from chaos.cashier import PAYMENT_SECRET
from chaos.engines.failover import PATIENCE_SECONDS, Failover, endure
from chaos.engines.journey import Journey
from chaos.engines.races import run_races
from chaos.experiments.quotas import LIMIT_SETTINGS
from chaos.lab import Lab
from chaos.report import Finding
from chaos.site import Site

COLUMNS = {
    "engine": 30,
    "journey": 16,
    "races": 8,
    "failover, all well again after": 30,
    "acknowledged writes lost": 14,
    "further checks": 10,
    "": 8,
}
# What journey and races count on.
SETTINGS: dict[str, Any] = LIMIT_SETTINGS | {
    "payment_provider": "cashier",
    "payment_secret": PAYMENT_SECRET,
    "payment_checkout_url": "http://127.0.0.1/cashier",
}


class Trial:
    """The trial of one engine. `version` is set by the engine; the other fields are filled by the methods."""

    def __init__(self, name: str, title: str, lab: Lab) -> None:
        self.name, self.title, self.lab = name, title, lab
        self.version = ""
        self.journeys: list[Journey] = []
        self.races: list[Finding] = []
        self.failovers: list[Failover] = []
        self.checks: list[Finding] = []
        # Why it broke off; why it was not tried at all.
        self.fault = ""
        self.absence = ""

    @property
    def is_short(self) -> bool:
        """True in the short form."""
        return self.lab.is_short

    def folder(self, what: str) -> Path:
        """Where the data of one of the engine's servers, or of a site, shall stand; nothing is there yet."""
        return self.lab.folder / f"{self.name}-{what}"

    def new_site(self, database_url: str, what: str = "site", **changes: Any) -> Site:
        """A site on the engine, with the settings that journey and races count on; it is started by entering it.

        `changes` are options of `Site`, and fields of `Settings`.
        """
        return Site(self.folder(what), database_url, **SETTINGS | changes)

    def travel(self, site: Site) -> None:
        """The journey of a user."""
        journey = Journey(site)
        self.journeys.append(journey)
        journey.run()
        self._told(journey.finding(self.title))

    def race(self, site: Site) -> None:
        """What happens at the same moment; longer in the long form."""
        for finding in run_races(site, self.title, is_short=self.is_short):
            self.races.append(self._told(finding))

    def endure(
        self, site: Site, what: str, blow: Callable[[], None], limit: float, patience: float = PATIENCE_SECONDS
    ) -> Failover:
        """Do `blow` under load; see `failover.endure`. All must be well again within `limit` seconds."""
        failover = endure(site, what, blow, limit, patience)
        self.failovers.append(failover)
        self._told(failover.finding(self.title))
        return failover

    def check(self, what: str, done: str, target: str, measured: str, passed: bool) -> None:
        """Something else that was measured."""
        self.checks.append(self._told(Finding(f"{what}, {self.title}", done, target, measured, passed)))

    def _told(self, finding: Finding) -> Finding:
        print(f"{finding.verdict} {finding.experiment}: {finding.measured}", flush=True)
        return finding

    @property
    def findings(self) -> Iterator[Finding]:
        """Each line of the page's second table."""
        for journey in self.journeys:
            yield journey.finding(self.title)
        yield from self.races
        for failover in self.failovers:
            yield failover.finding(self.title)
        yield from self.checks
        if self.fault:
            yield Finding(self.title, "", "", f"broke off: {self.fault}", False)

    @property
    def passed(self) -> bool:
        """True when nothing was amiss; an engine that is not here has not failed."""
        return all(finding.passed for finding in self.findings)

    @property
    def verdict(self) -> str:
        """In a word or two."""
        return "not here" if self.absence else "pass" if self.passed else "FAIL"

    @property
    def cells(self) -> tuple[str, ...]:
        """The engine's line in the first table."""
        done = [f"{journey.passed} of {journey.total}" for journey in self.journeys]
        ended = [f"{failover.what}: {failover.seconds:.1f} s" for failover in self.failovers]
        lost = [f"{failover.lost:,} of {failover.acknowledged:,}" for failover in self.failovers]
        return (
            f"{self.title} {self.version}".strip(),
            "; ".join(done) or self.absence,
            _share(self.races),
            "; ".join(ended),
            "; ".join(lost),
            _share(self.checks),
            self.verdict,
        )


def _share(findings: Sequence[Finding]) -> str:
    return f"{sum(finding.passed for finding in findings)} of {len(findings)}" if findings else ""
