"""What happens at the same moment on one engine: a selection of the experiments of `make chaos`."""

from collections.abc import Iterator

from chaos.experiments import codes, matches, quotas, sales, swipes
from chaos.races import RACES
from chaos.report import Finding
from chaos.site import Site

COUPLES, BUYERS, STOCK, SWIPES = 300, 300, 30, 40
SHORT_COUPLES, SHORT_BUYERS, SHORT_STOCK = 40, 40, 8


def run_races(site: Site, name: str, *, is_short: bool) -> Iterator[Finding]:
    """Couples, quotas, codes and a sale; in the long form also the races of two acts upon the same swipes.

    The site has the limits of `LIMIT_SETTINGS`.
    """
    yield matches.match_all(site, name, SHORT_COUPLES if is_short else COUPLES, "like")
    yield quotas.spend(site, name, "like", 1)
    yield codes.judge_logins(site, name, 1 if is_short else 3)
    yield sales.sell_out(site, name, *((SHORT_BUYERS, SHORT_STOCK) if is_short else (BUYERS, STOCK)))
    if is_short:
        return
    yield matches.match_all(site, name, COUPLES, "superlike")
    yield quotas.spend(site, name, "superlike", 1)
    yield quotas.spend(site, name, "rewind", 1)
    for race, variants in RACES.items():
        yield swipes.judge(site, f"{race}, {name}", variants, SWIPES)
