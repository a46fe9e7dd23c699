"""Changes of the own profile and preferences, and corrections by operators."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from swiper.cache.invalidations import ACCOUNT, invalidate_after_commit
from swiper.db.transactions import transactional
from swiper.errors import LoginError, NotFoundError, PermissionDeniedError, ProfileError
from swiper.profiles.cards import refresh_discovery_row
from swiper.profiles.change_limits import count_changes
from swiper.profiles.models import Preferences, Sex, User
from swiper.profiles.nicknames import check_nickname, fold_nickname, former_fold
from swiper.profiles.profiles import AGE_OUT_OF_RANGE, is_adult
from swiper.profiles.queries.people import PREFERENCE_FIELDS, get_preferences, lock_user
from swiper.profiles.queries.profile_changes import claim_nickname, delete_nickname
from swiper.vip.levels import VipStatus
from swiper.vip.models import Permission

MAX_FOLDED_LENGTH = 160


@transactional
def change_profile(uid: int, changes: dict[str, Any], current: VipStatus) -> None:
    """Store changed fields of profile and preferences and refresh the row of the deck, in one transaction.

    Raises ProfileError with the reasons by field, PermissionDeniedError for a `dating_location` other than the own city
    without the permission, RateLimitedError for a city that was changed too often.
    """
    user = lock_user(uid)
    if user is None:
        raise LoginError()
    preferences = get_preferences(uid)
    former_location = user.location
    count_changes(user, changes, current)
    if "nickname" in changes and changes["nickname"] != user.nickname:
        _change_nickname(user, changes["nickname"])
    for name, value in changes.items():
        setattr(preferences if name in PREFERENCE_FIELDS else user, name, value)
    _check_order(preferences)
    if preferences.dating_location == user.location:
        preferences.dating_location = None
    if changes.get("dating_location") and preferences.dating_location and not current.has(Permission.ANYLOCATION):
        raise PermissionDeniedError()
    refresh_discovery_row(user, former_location)
    invalidate_after_commit(uid, ACCOUNT)


def _change_nickname(user: User, nickname: str) -> None:
    folded, former = fold_nickname(nickname), fold_nickname(user.nickname)
    if folded == former:
        return
    if not 0 < len(folded) <= MAX_FOLDED_LENGTH:
        raise ProfileError(errors={"nickname": ["Wrong length."]})
    check_nickname(user.id, nickname)
    if not claim_nickname(user.id, folded):
        raise ProfileError(errors={"nickname": ["This nickname is taken."]})
    delete_nickname(user.id, *{former, former_fold(user.nickname)} - {folded})


def _check_order(preferences: Preferences) -> None:
    wrong = {
        f"min_{name}": ["The minimum is above the maximum."]
        for name in ("distance", "dating_age")
        if getattr(preferences, f"min_{name}") > getattr(preferences, f"max_{name}")
    }
    if wrong:
        raise ProfileError(errors=wrong)


@transactional
def correct_profile(uid: int, *, sex: Sex | None = None, birthday: date | None = None) -> None:
    """Set sex and birthday for an operator. The person's own corrections stay counted.

    After an operator has set the sex, even to the same value, the person is shown everybody again.

    Raises NotFoundError, and ProfileError for a birthday of somebody who is too young or too old.
    """
    if birthday is not None and not is_adult(birthday):
        raise ProfileError(errors={"birthday": [AGE_OUT_OF_RANGE]})
    user = lock_user(uid)
    if user is None:
        raise NotFoundError()
    if sex is not None:
        user.sex, user.deck_from = sex, None
    user.birthday = birthday or user.birthday
    refresh_discovery_row(user)
    invalidate_after_commit(uid, ACCOUNT)


def leave_out_unchanged(sent: Any, shown: Mapping[str, Any], stored: Mapping[str, Any]) -> Any:
    """`sent`, a parsed body, without the fields whose value is what the profile shows or has stored already.

    So a client may send the whole profile back with one change, even if a stored value breaks a newer rule. In a form,
    all values are text.
    """
    if not isinstance(sent, Mapping):
        return sent
    is_text = hasattr(sent, "getlist")
    same = _is_same_text if is_text else _is_same
    unchanged = [
        name
        for name, value in sent.items()
        if (name in shown and same(value, shown[name])) or (name in stored and same(value, stored[name]))
    ]
    left: Any = sent.copy()  # type: ignore[attr-defined]
    for name in unchanged:
        # A field that appears twice in a form stays, so that it is refused.
        if not is_text or len(sent.getlist(name)) == 1:  # type: ignore[attr-defined]
            del left[name]
    return left


def _is_same(sent: Any, own: Any) -> bool:
    # `own` may be an enum, which is text too. In Python 1 equals True and 1.0, in JSON it does not.
    return isinstance(own, type(sent)) and isinstance(own, bool) is isinstance(sent, bool) and bool(sent == own)


def _is_same_text(sent: str, own: Any) -> bool:
    return sent.replace("\r\n", "\n") == _as_text(own)


def _as_text(own: Any) -> str:
    if own is None or isinstance(own, bool):
        return {None: "", True: "true", False: "false"}[own]
    return str(own)
