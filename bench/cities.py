"""The robots of a city, by the part that each plays in a crowd."""

from array import array
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from swiper.profiles.models import Discovery, Sex
from swiper.profiles.profiles import default_dating_sex
from swiper.robots.seeding import CITIES

# Some do not take part at all, of each city and sex; 208 in all cities.
IDLE_EACH = 13
# In the first five cities, two men have swiped very many, and one woman was liked by very many.
TAIL_CITIES = 5
BUSY_EACH = 2
BUSY_SWIPES = 20_000
LIKED_BY = 50_000
# What a small city leaves of that: 50,000 are four fifths of one sex of a city of a site with a million people.
BUSY_SHARE = 1 / 3
LIKED_SHARE = 4 / 5


@dataclass(frozen=True)
class City:
    """Ids of one city's robots by the part they play; `men` and `women` are those who play no special one."""

    idle: list[int]
    busy: list[int]
    liked: list[int]
    men: "array[int]"
    women: "array[int]"
    busy_swipes: int
    liked_by: int


def read_city(session: Session, number: int) -> City:
    """The parts follow from the order of the ids, so they stay the same when robots are added."""
    men, women = (_ids(session, CITIES[number], sex) for sex in (Sex.MALE, Sex.FEMALE))
    busy_end = IDLE_EACH + (BUSY_EACH if number < TAIL_CITIES else 0)
    liked_end = IDLE_EACH + (1 if number < TAIL_CITIES else 0)
    return City(
        idle=[*men[:IDLE_EACH], *women[:IDLE_EACH]],
        busy=men[IDLE_EACH:busy_end].tolist(),
        liked=women[IDLE_EACH:liked_end].tolist(),
        men=men[busy_end:],
        women=women[liked_end:],
        busy_swipes=min(BUSY_SWIPES, int(len(women) * BUSY_SHARE)),
        liked_by=min(LIKED_BY, int(len(men) * LIKED_SHARE)),
    )


def _ids(session: Session, city: str, sex: Sex) -> "array[int]":
    query = select(Discovery.uid).where(
        Discovery.location == city, Discovery.sex == sex, Discovery.dating_sex == default_dating_sex(sex)
    )
    rows = session.scalars(query.order_by(Discovery.uid).execution_options(yield_per=10_000))
    return array("q", rows)
