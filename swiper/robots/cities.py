"""Adds robots to the cities that people choose, so that the deck of a development site does not end after a minute.

`ROBOTS_PER_CITY` is the number of robots of each sex that a city has then; 0 adds none. A city is free text that
anybody may type, so each is filled once, and at most `MAX_CITIES` are. Redis remembers which were.
"""

import logging

from swiper.extensions import redis, this_app
from swiper.profiles.models import Sex
from swiper.robots import queries
from swiper.robots.seeding import seed_city

log = logging.getLogger(__name__)

MAX_CITIES = 100
FILLED = "robots:cities"
# A city with so many times the wanted number of people of a sex is full, whoever they are.
CROWD = 10


def fill_city_of(uid: int) -> int:
    """Add the robots that the own city of a user lacks, unless that was done before. Return how many were added.

    Only one process may do this at a time. Raises ValueError if there are no phones left for robots.
    """
    city = queries.city_of(uid)
    if city is None or not _may_fill(city):
        return 0
    lacking = {sex: _count_lacking(city, sex) for sex in Sex}
    seed_city(city, lacking)
    # Only now, so that a fault does not leave the city empty for good.
    redis.client.sadd(redis.key(FILLED), city)
    added = sum(lacking.values())
    log.info("%d robots were added to a city", added)
    return added


def _may_fill(city: str) -> bool:
    if redis.client.sismember(redis.key(FILLED), city):
        return False
    if redis.client.scard(redis.key(FILLED)) < MAX_CITIES:
        return True
    log.warning("%d cities have robots, no other city gets any", MAX_CITIES)
    return False


def _count_lacking(city: str, sex: Sex) -> int:
    wanted = robots_per_city()
    people = queries.people_of(city, sex, CROWD * wanted)
    if len(people) == CROWD * wanted:
        return 0
    return max(0, wanted - len(queries.robots_among(people)))


def robots_per_city() -> int:
    """Return the number of robots of each sex that a city has at least."""
    count: int = this_app().config["ROBOTS_PER_CITY"]
    return count
