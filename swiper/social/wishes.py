"""Whom somebody wants to see, in the terms that the deck's queries are made of."""

import functools
import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from swiper.clock import today
from swiper.errors import ProfileError
from swiper.ids import moment_of
from swiper.profiles.models import DatingSex, Sex
from swiper.profiles.profiles import Account, latest_birthday
from swiper.vip.levels import VipStatus

FULL_CIRCLE = 2**31


@dataclass(frozen=True)
class Wish:
    """Whom a caller wants to see and who admits them; ages are bounds on the birthday."""

    uid: int
    sex: Sex
    sexes: tuple[Sex, ...]
    location: str
    born_after: date
    born_until: date
    day: date
    # People with lower ids are left out, unless they have liked the caller since that moment.
    from_id: int = 0

    @functools.cached_property
    def pivot(self) -> int:
        """Where in the mixed order this caller starts today."""
        digest = hashlib.sha256(f"{self.uid}:{self.day}".encode()).digest()
        return int.from_bytes(digest[:4]) % FULL_CIRCLE

    @functools.cached_property
    def fingerprint(self) -> str:
        """Changes with anything that changes who belongs into the deck."""
        fields = (self.uid, self.sex, *self.sexes, self.location, self.born_after, self.born_until, self.day)
        fields += (self.from_id,)
        return hashlib.sha256("|".join(map(str, fields)).encode()).hexdigest()[:16]

    @functools.cached_property
    def values(self) -> dict[str, Any]:
        """The values of `queries.FITS`, but for `likers`."""
        return {
            "uid": self.uid,
            "city": self.location,
            "first_sex": self.sexes[0],
            "second_sex": self.sexes[-1],
            "own_sex": DatingSex(self.sex),
            "born_after": self.born_after,
            "born_until": self.born_until,
            "from_id": self.from_id,
        }

    @functools.cached_property
    def from_moment(self) -> datetime:
        """When ids as high as `from_id` were made."""
        return moment_of(self.from_id)


def wish_of(account: Account, current: VipStatus, day: date | None = None) -> Wish:
    """The caller's wish, as of `day` (today). Raises ProfileError that names what the profile still lacks."""
    return _own_wish(account, account.wanted_location(current), day or today())


# Asked for with each group of a deck, and the same until the caller's account changes.
@functools.lru_cache(maxsize=2_000)
def _own_wish(account: Account, location: str | None, day: date) -> Wish:
    if account.missing:
        reasons = {name: ["Not set yet."] for name in account.missing}
        raise ProfileError("Complete your profile first.", errors=reasons)
    ages = {"min_age": account.min_dating_age, "max_age": account.max_dating_age}
    return make_wish(account, sex=account.wanted_sex, location=location, **ages, day=day)


def make_wish(account: Account, *, sex: Any, location: Any, min_age: int, max_age: int, day: date) -> Wish:
    """A wish with its ages turned into birthdays, as of `day`."""
    return Wish(
        uid=account.id,
        sex=Sex(str(account.sex)),
        sexes=tuple(Sex) if sex is DatingSex.ANY else (Sex(sex.value),),
        location=location,
        born_after=latest_birthday(day, max_age + 1),
        born_until=latest_birthday(day, min_age),
        day=day,
        from_id=account.deck_from or 0,
    )
