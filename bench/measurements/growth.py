"""What the requests cost as the number of people, and of a caller's swipes, grows."""

from collections.abc import Callable, Iterator
from statistics import median

from bench.lab import Lab
from bench.load import Contender, get, repeated
from bench.measurements.logins import LOGIN, logins_of
from bench.measurements.reads import DECK, PROFILE, deck_of, everything, not_dearer
from bench.measurements.writes import LIKE, likes_of
from bench.report import Row

# Callers who have swiped about so many, as far as there are any.
SWIPES = (1, 10, 100, 1_000, 10_000, 20_000)
CALLERS_EACH = 50
NEAR = 2.0

KINDS: dict[str, Callable[[Lab], Contender]] = {
    "profile": lambda lab: lab.swiper(repeated(get(PROFILE, caller.session_id) for caller in lab.callers())),
    # The usual callers of the largest site have swiped, and been liked, in what was measured before.
    "users": lambda lab: deck_of(lab, lab.callers(lab.fresh_callers)),
    "like": lambda lab: likes_of(lab),
}
# Logins are too few in a second for a flame graph.
GROWN = KINDS | {"login": lambda lab: logins_of(lab)}
WORDS = {"users": f"GET {DECK}", "like": f"POST {LIKE}", "login": f"POST {LOGIN}, of somebody known"}


def people(lab: Lab) -> Iterator[Row]:
    """Sites with fewer and with more people beside each other."""
    sites = [*lab.smaller, lab]
    for name, make in GROWN.items():
        results = lab.compare(*[make(site) for site in sites])
        curve = [(site.size.people, each.median(everything)) for site, each in zip(sites, results, strict=True)]
        lab.curves["people"][name] = curve
        if name in WORDS:
            what = f"{WORDS[name]} among {sites[-1].size.people:,} people"
            yield not_dearer(what, f"among {sites[0].size.people:,}", results[0], results[-1])


def swipes(lab: Lab) -> Iterator[Row]:
    """Callers who have swiped few and many, for the picture."""
    counts = lab.in_database("SELECT uid, count(*) FROM swipes GROUP BY uid")
    groups = {0: list(lab.filled.idle[:CALLERS_EACH])}
    for wanted in SWIPES:
        near = sorted((max(count, wanted) / min(count, wanted), count, uid) for uid, count in counts)[:CALLERS_EACH]
        chosen = {uid: count for distance, count, uid in near if distance <= NEAR}
        if chosen:
            groups[round(median(chosen.values()))] = list(chosen)
    results = lab.compare(*[deck_of(lab, lab.callers(uids)) for uids in groups.values()])
    curve = [(swiped, each.median(everything)) for swiped, each in zip(groups, results, strict=True)]
    lab.curves["swipes"]["users"] = curve
    words = ", ".join(f"{swiped}: {cost:.0f}" for swiped, cost in curve)
    yield Row(f"GET {DECK} by the caller's swipes", "", f"µs of all servers: {words}")
