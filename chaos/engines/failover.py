"""A server is taken away under load: how long until all is well again, and what of the acknowledged is lost."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from chaos.consistency import half_written, lost_swipes
from chaos.experiments.outages import seconds_until_good
from chaos.report import Finding
from chaos.requests import Cast
from chaos.site import Site
from chaos.traffic import Crowd

PATIENCE_SECONDS = 60.0
CLIENTS, MEMBERS, REGULARS = 4, 60, 4
# Requests of the crowd before the blow and after all is well.
BEFORE, AFTER = 200, 200
# How the crowd writes that it was answered 503.
REFUSED = ": 503 "


@dataclass(frozen=True)
class Failover:
    """What a blow did; `seconds` is from the blow to the last refusal, or to the first time that all was well."""

    what: str
    seconds: float
    limit: float
    requests: int
    refused: int
    wrong: tuple[str, ...]
    acknowledged: int
    lost: int
    torn: int

    def finding(self, engine: str) -> Finding:
        """A line of the table."""
        return Finding(
            f"{self.what}, {engine}",
            f"while {CLIENTS} clients read and swipe without pause; {self.requests:,} requests",
            f"1011 at worst; all well again within {self.limit:g} s, without a restart; nothing acknowledged is lost",
            f"all well again after {self.seconds:.1f} s; {self.refused:,} requests were answered 503, "
            f"{len(self.wrong)} otherwise wrong; of {self.acknowledged:,} acknowledged swipes {self.lost} lost, "
            f"{self.torn} half-written",
            self.seconds <= self.limit and not (self.wrong or self.lost or self.torn),
        )


def endure(site: Site, what: str, blow: Callable[[], None], limit: float, patience: float) -> Failover:
    """Do `blow`, such as the end of a server and whatever an operator does then, in the midst of traffic.

    All that people do must be well again within `limit` seconds; after `patience` seconds nobody waits any longer.
    """
    cast = Cast(site, REGULARS, bursts=3)
    cast.ask_codes()
    with Crowd(site, MEMBERS, CLIENTS) as crowd:
        crowd.serve_more(BEFORE)
        started = time.monotonic()
        blow()
        seconds_until_good(site, cast, patience)
        seconds = time.monotonic() - started
        crowd.serve_more(AFTER)
    site.leave_connections()
    wrong = [failure for failure in crowd.failures if REFUSED not in failure]
    lost = lost_swipes(site, crowd.swipes)
    torn = half_written(site, [member.id for member in crowd.members])
    for text in (*wrong, *lost, *torn)[:10]:
        print(f"     {what}: {text}")
    return Failover(
        what,
        max(seconds, crowd.failed_at - started),
        limit,
        crowd.requests,
        len(crowd.failures) - len(wrong),
        tuple(wrong),
        len(crowd.swipes),
        len(lost),
        len(torn),
    )
