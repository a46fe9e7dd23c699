"""How much is measured."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """How many are in a site."""

    people: int
    swipes: int


@dataclass(frozen=True)
class Extent:
    """How much is measured; the last of the `sizes` is that of the site itself, the others are smaller ones beside it.

    `portable` are those of the sites on other databases than PostgreSQL, the smaller one first.
    Each comparison has so many `rounds`, or `portable_rounds` on those, of so many `seconds`; `many` requests show
    whether memory grows.
    """

    sizes: Sequence[Size]
    portable: tuple[Size, Size]
    portable_rounds: int
    callers: int
    rounds: int
    seconds: int
    many: int
