"""Two people like each other at the same moment."""

from collections import Counter
from collections.abc import Iterator

from sqlalchemy import select

from chaos.burst import Answer
from chaos.lab import DATABASES, SQLITE, Lab
from chaos.members import Member
from chaos.report import Finding
from chaos.site import Site
from swiper.social.models import Friend

TARGET = "one friendship each; one of the two is told is_matched; 0 lost, 0 double, 0 refused"
# So many couples at the same moment; each is two connections through nginx and two to an instance.
TOGETHER = 20


def couples_match_exactly_once(lab: Lab) -> Iterator[Finding]:
    """Like against like, then superlike against superlike, through nginx and two instances."""
    for database in DATABASES:
        couples = lab.count(500, 60) if database == SQLITE else lab.count(2_000, 150)
        for kind in ("like", "superlike"):
            yield match_all(lab.site(database), database, couples, kind)


def match_all(site: Site, name: str, count: int, kind: str) -> Finding:
    """`count` couples swipe each other with `kind`, like or superlike, on the site that is called `name`."""
    members = site.add_members(2 * count, vip=1)
    couples = list(zip(members[::2], members[1::2], strict=True))
    specs = [spec for one, other in couples for spec in (one.swipe(kind, other), other.swipe(kind, one))]
    answers = site.fire(*specs, at_once=2 * TOGETHER)
    refused = [answer for answer in answers if answer.code != 0]
    untold = sum(not _was_told(answers[2 * n : 2 * n + 2]) for n in range(count))
    rows = _friendships(site, couples)
    lost = sum(rows[pair] == 0 for pair in map(_pair, couples))
    double = sum(number - 1 for number in rows.values() if number > 1)
    return Finding(
        f"{kind} against {kind}, {name}",
        f"{count:,} couples, {2 * TOGETHER} requests at the same moment, two instances",
        TARGET,
        f"{sum(rows.values()):,} friendships; {lost} lost, {double} double, {untold} not told, {len(refused)} refused",
        not (lost or double or untold or refused),
    )


def _was_told(answers: list[Answer]) -> bool:
    return any(answer.code == 0 and answer.data["is_matched"] for answer in answers)


def _pair(couple: tuple[Member, Member]) -> tuple[int, int]:
    one, other = sorted((couple[0].id, couple[1].id))
    return one, other


def _friendships(site: Site, couples: list[tuple[Member, Member]]) -> Counter[tuple[int, int]]:
    wanted = set(map(_pair, couples))
    with site.looking() as session:
        rows = session.execute(select(Friend.uid1, Friend.uid2)).all()
    return Counter((row.uid1, row.uid2) for row in rows if (row.uid1, row.uid2) in wanted)
