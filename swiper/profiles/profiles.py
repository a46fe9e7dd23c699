"""The account of the caller as one cached value, how ages are counted, and what people see of themselves."""

import functools
import zlib
from collections.abc import Collection, Iterable
from datetime import date, datetime
from typing import Any

import msgspec
from flask import current_app

from swiper.cache.backends import PackedSerializer
from swiper.cache.invalidations import ACCOUNT, invalidate_after_commit, remover
from swiper.cache.values import get_or_load, invalidate, is_pending
from swiper.clock import today
from swiper.db.statements import Row, read
from swiper.errors import LoginError
from swiper.extensions import this_g
from swiper.profiles.models import DatingSex, Sex, Status
from swiper.profiles.queries import people
from swiper.profiles.queries.people import PREFERENCE_FIELDS, USER_FIELDS
from swiper.signals import vip_changed
from swiper.tallies import HIT, tallies
from swiper.vip.levels import VipStatus, current_vip_status
from swiper.vip.models import Permission

MIN_AGE = 18
MAX_AGE = 100
AGE_OUT_OF_RANGE = "You must be 18 to 100 years old."

# `(id, URL)` of a user's photos.
Album = list[tuple[int, str]]


def age_on(day: date, birthday: date) -> int:
    """Age in full years on `day`. It goes up on the calendar day of the birthday."""
    return day.year - birthday.year - ((day.month, day.day) < (birthday.month, birthday.day))


def is_adult(birthday: date) -> bool:
    """True if somebody with this birthday may register: from `MIN_AGE` to `MAX_AGE` years old today."""
    return MIN_AGE <= age_on(today(), birthday) <= MAX_AGE


def latest_birthday(day: date, years: int) -> date:
    """The latest birthday of people who are at least `years` old on `day`."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        # `day` is 29 February, and that year has none.
        return date(day.year - years, 2, 28)


def default_dating_sex(sex: Sex) -> DatingSex:
    """Whom people look for who have not said it: the other sex."""
    return DatingSex.FEMALE if sex is Sex.MALE else DatingSex.MALE


class Account(msgspec.Struct, frozen=True):
    """Everything about a user that their own requests need: one cached value. Photos are `(id, URL)`."""

    id: int
    phone: str
    nickname: str
    sex: Sex | None
    birthday: date | None
    location: str | None
    bio: str
    avatar: str
    status: Status
    is_robot: bool
    deck_from: int | None
    dating_sex: DatingSex | None
    dating_location: str | None
    min_distance: int
    max_distance: int
    min_dating_age: int
    max_dating_age: int
    vibration: bool
    only_match: bool
    auto_play: bool
    photos: tuple[tuple[int, str], ...]
    vip_level: int
    vip_expires_at: datetime | None

    @property
    def wanted_sex(self) -> DatingSex | None:
        """`dating_sex` or its default; None while the own sex is not set."""
        return self.dating_sex or (default_dating_sex(self.sex) if self.sex else None)

    def wanted_location(self, current: VipStatus) -> str | None:
        """The city whose people are shown: `dating_location` if the VIP level allows another city than the own one."""
        if self.dating_location and current.has(Permission.ANYLOCATION):
            return self.dating_location
        return self.location

    @property
    def missing(self) -> list[str]:
        """The fields that must be filled in before the user gets a deck."""
        return [name for name in ("sex", "birthday", "location") if not getattr(self, name)]

    @property
    def vip_status(self) -> VipStatus:
        """The VIP status now."""
        return current_vip_status(self.vip_level, self.vip_expires_at)


OWN_FIELDS = [name for name in (*USER_FIELDS, *PREFERENCE_FIELDS) if name not in ("status", "is_robot", "deck_from")]
_pack = msgspec.msgpack.Encoder().encode
# A user's next request usually reads the same bytes, and gets the same Account.
_unpack = functools.lru_cache(maxsize=2_000)(msgspec.msgpack.Decoder(Account).decode)
# As the cache has stored it.
_read_stored = functools.lru_cache(maxsize=2_000)(PackedSerializer().loads)
# Part of the key, since another release may store an Account with other fields.
_LAYOUT = f"{zlib.crc32(repr(msgspec.structs.fields(Account)).encode()):x}"


def account_key(uid: int) -> str:
    """The cache key of a user's packed Account."""
    return f"{{u:{uid}}}:account:{_LAYOUT}"


def prefetch_account(key: str, stored: bytes) -> None:
    """Keep for this request what Redis has under `account_key`. It was read together with the session."""
    this_g().setdefault(key, stored)


def _take_prefetched(key: str) -> Any:
    # Only once, since a later call in the same request may follow a write.
    found = this_g().pop(key, None)
    if not found:
        return None
    tallies[HIT] += 1
    return _read_stored(found)


@remover(ACCOUNT)
def drop_cached_account(uid: int) -> bool:
    """Remove the cached Account; False if that was not possible now."""
    return invalidate(account_key(uid))


def invalidate_after_vip_change(_sender: Any, *, uid: int) -> None:
    """Invalidate the cached Account, which contains the membership that a lower layer has changed."""
    invalidate_after_commit(uid, ACCOUNT)


vip_changed.connect(invalidate_after_vip_change)


def find_account(uid: int) -> Account | None:
    """The cached Account, or the stored one if that is out of date; None when the user is gone."""
    if is_pending(uid, ACCOUNT):
        return load_account(uid)
    packed = _take_prefetched(account_key(uid))
    if packed is None:
        packed = get_or_load(account_key(uid), lambda: _load_packed(uid), current_app.config["USER_CACHE_SECONDS"])
    if packed is None:
        return None
    try:
        return _unpack(packed)
    except (msgspec.DecodeError, TypeError):
        # This release has not written these bytes.
        invalidate(account_key(uid))
        return load_account(uid)


def _load_packed(uid: int) -> bytes | None:
    account = load_account(uid)
    return _pack(account) if account else None


def own_account(uid: int) -> Account:
    """The Account as it is stored now. Raises LoginError if it was deleted meanwhile."""
    account = load_account(uid)
    if account is None:
        raise LoginError()
    return account


def load_account(uid: int) -> Account | None:
    """The Account as it is stored now; None when the user is gone."""
    return assemble(*read((people.ACCOUNT, {"uid": uid}), (people.ALBUMS, {"uids": [uid]})))


def assemble(accounts: list[Row], photos: list[Row]) -> Account | None:
    """The Account made of the rows of `ACCOUNT_SELECT` and of an album's statement; None without rows."""
    if not accounts:
        return None
    ((*own, vip_level, vip_expires_at),) = accounts
    fields = dict(zip((*USER_FIELDS, *PREFERENCE_FIELDS), own, strict=True))
    album = tuple(albums_of_rows(photos).get(fields["id"], ()))
    return Account(**fields, photos=album, vip_level=vip_level, vip_expires_at=vip_expires_at)


def photos_of(uids: Collection[int]) -> dict[int, Album]:
    """The albums by user id, photos in the order of upload."""
    if not uids:
        return {}
    (rows,) = read((people.ALBUMS, {"uids": list(uids)}))
    return albums_of_rows(rows)


def albums_of_rows(photos: Iterable[Any]) -> dict[int, Album]:
    """Rows of user id, photo id and address, as albums by user id."""
    albums: dict[int, Album] = {}
    for uid, photo_id, url in photos:
        albums.setdefault(uid, []).append((photo_id, url))
    return albums


def own_view(account: Account, current: VipStatus | None = None) -> dict[str, Any]:
    """What people see of themselves: user, preferences with their defaults, VIP status."""
    current = current or account.vip_status
    return {name: getattr(account, name) for name in OWN_FIELDS} | {
        "age": age_on(today(), account.birthday) if account.birthday else None,
        "photos": [{"id": photo_id, "url": url} for photo_id, url in account.photos],
        "dating_sex": account.wanted_sex,
        "dating_location": account.wanted_location(current),
        "vip": current.level.badge | {"expires_at": current.expires_at},
    }
