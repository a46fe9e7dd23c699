"""Simulated keys: how evenly ids and likes lie on the shards of a cluster, and how often two processes draw one id."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from swiper.ids import RANDOM_BITS, next_id

MASK = 2**32 - 1
# As many machines with a quarter of the shards each; Citus' default; what a cluster of 16 to 32 machines takes.
SHARDS = (8, 32, 128)
PROCESSES = 64
MS_PER_SECOND = 1_000


# --- Ids ---


@dataclass(frozen=True)
class Drawn:
    """Ids that several processes have drawn, how often two were equal, and the hottest shard's load of the mean."""

    count: int
    rate: int
    collisions: int
    expected: float
    hottest: dict[int, float]

    @property
    def seconds_for_one(self) -> float:
        """For how long such processes draw ids on average until two are equal, in seconds."""
        return self.count / self.rate / self.expected


def draw_ids(count: int, rate: int, start_ms: int) -> Drawn:
    """Draw `count` ids as `PROCESSES` processes do that share nothing, at random moments, `rate` in a mean second."""
    last = [0] * PROCESSES
    loads = {shards: [0] * shards for shards in SHARDS}
    collisions, seen, milliseconds = 0, set[int](), -1
    moment = float(start_ms)
    for _ in range(count):
        moment += random.expovariate(rate / MS_PER_SECOND)
        now_ms = int(moment)
        if now_ms != milliseconds:
            # An id of another millisecond is another id.
            seen, milliseconds = set(), now_ms
        process = random.getrandbits(6)
        drawn = last[process] = next_id(now_ms, last[process])
        collisions += drawn in seen
        seen.add(drawn)
        hashed = hash_of(drawn)
        for shards, load in loads.items():
            load[hashed * shards >> 32] += 1
    hottest = {shards: max(load) * shards / count for shards, load in loads.items()}
    return Drawn(count, rate, collisions, expected_collisions(count, rate), hottest)


def expected_collisions(count: int, rate: int) -> float:
    """Return how many of `count` ids at `rate` ids a second should be drawn twice, by arithmetic.

    Each of the pairs of one millisecond that come from two processes is equal once in 2^22 cases.
    """
    pairs = count * rate / MS_PER_SECOND / 2
    return float(pairs * (1 - 1 / PROCESSES) / 2**RANDOM_BITS)


# --- Shards ---


def hash_of(value: int) -> int:
    """Return the hash by which Citus places a bigint, from 0 to 2^32 - 1: `hashint8` of PostgreSQL, as an offset.

    Citus gives each shard an equal range of the signed hashes (create_shards.c), the first of them begins at -2^31.
    """
    low, high = value & MASK, value >> 32 & MASK
    mixed = low ^ (high if value >= 0 else ~high & MASK)
    # hash_bytes_uint32 (hashfn.c).
    a = b = c = (0x9E3779B9 + 4 + 3923095) & MASK
    a = (a + mixed) & MASK
    # Each step of `final` changes one of the three by the one that was changed before; they take turns.
    changed, by, next_one = c, b, a
    for turn in (14, 11, 25, 16, 4, 14, 24):
        changed = ((changed ^ by) - (by << turn | by >> 32 - turn)) & MASK
        changed, by, next_one = next_one, changed, by
    return (by + 2**31) & MASK


# --- Likes ---


@dataclass(frozen=True)
class Tail:
    """How unequally people are liked, and what the hottest shard's load is of the mean."""

    exponent: float
    people: int
    likes: int
    most: int
    top_percent_share: float
    hottest: dict[int, float]


def spread_likes(people: int, likes: int, exponent: float, cap: int, start_ms: int) -> Tail:
    """Place `likes` on people whose number falls by their rank to the power of `exponent`; nobody gets more than `cap`.

    The people have ids as new ones have, so it is chance who is on which shard.
    """
    weights = capped_weights(people, likes, exponent, cap)
    loads = {shards: [0.0] * shards for shards in SHARDS}
    for weight, uid in zip(weights, new_people(people, start_ms), strict=True):
        hashed = hash_of(uid)
        for shards, load in loads.items():
            load[hashed * shards >> 32] += weight
    total = sum(weights)
    hottest = {shards: max(load) * shards / total for shards, load in loads.items()}
    return Tail(exponent, people, likes, round(weights[0]), sum(weights[: people // 100]) / total, hottest)


def capped_weights(people: int, likes: int, exponent: float, cap: int) -> list[float]:
    """Return how many likes each person gets, the most liked first, in all `likes`."""
    shape = [rank**-exponent for rank in range(1, people + 1)]
    below = list(accumulate(reversed(shape)))[::-1]
    # The first `capped` get the cap, the others share what is left.
    capped = 0
    while capped < people and (likes - capped * cap) * shape[capped] / below[capped] > cap:
        capped += 1
    factor = (likes - capped * cap) / below[capped]
    return [float(cap)] * capped + [factor * share for share in shape[capped:]]


def new_people(count: int, start_ms: int) -> Iterator[int]:
    """Yield the ids of people who sign up in a mixed order of how liked they are, a hundred each second."""
    last = 0
    for number in range(count):
        last = next_id(start_ms + number * 10, last)
        yield last
