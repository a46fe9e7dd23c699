"""Limits how often people change what others are matched by: city, sex and birthday.

The deck leaves out people whose hidden `dating_sex` does not include the caller's sex. Somebody who saw the deck as a
man and then as a woman could find out everybody's hidden preference by comparison. So whoever corrects their sex after
they could see a deck is shown only people who registered later, and people who have liked them since. When an operator
corrects the sex, this limit is removed.
"""

from datetime import timedelta
from typing import Any

from swiper.clock import now
from swiper.errors import ProfileError, RateLimitedError
from swiper.extensions import this_app
from swiper.ids import first_id_at
from swiper.profiles.deleted_numbers import COMPARED, differing_from_former
from swiper.profiles.models import CountedField, User
from swiper.profiles.queries import profile_changes
from swiper.vip.levels import VipStatus
from swiper.vip.models import Permission

CORRECTED = (CountedField.SEX, CountedField.BIRTHDAY)
USED_UP = "This has been corrected before; only an operator can change it again."


def count_changes(user: User, changes: dict[str, Any], current: VipStatus) -> None:
    """Count the changes of city, sex and birthday before they are made, under the lock of the user's row.

    An equal value is not a change. A first value is one only if a deleted account of the same number had another value.
    The city is not counted for people who may look at any city.

    Raises ProfileError if sex or birthday were corrected before, and RateLimitedError with the time from which the city
    may be changed again.
    """
    firsts = {field: changes[field] for field in COMPARED if field in changes and getattr(user, field) is None}
    of_former_account = differing_from_former(user.phone, firsts)
    changed = [field for field in CountedField if field in of_former_account or _is_changed(user, field, changes)]
    wrong = {field.value: [USED_UP] for field in CORRECTED if field in changed and _is_used_up(user, field)}
    if wrong:
        raise ProfileError(errors=wrong)
    if CountedField.LOCATION in changed and current.has(Permission.ANYLOCATION):
        changed.remove(CountedField.LOCATION)
    if CountedField.LOCATION in changed:
        _check_city(user)
    could_see_deck = bool(user.birthday and user.location) or CountedField.SEX in of_former_account
    if CountedField.SEX in changed and could_see_deck:
        user.deck_from = first_id_at(now())
    profile_changes.insert_changes(user.id, [(field, now()) for field in changed])


def _is_changed(user: User, field: CountedField, changes: dict[str, Any]) -> bool:
    stored = getattr(user, field)
    return field in changes and stored is not None and changes[field] != stored


def _is_used_up(user: User, field: CountedField) -> bool:
    allowed: int = this_app().config[f"{field.name}_CORRECTIONS"]
    return profile_changes.count_changes(user.id, field) >= allowed


def _check_city(user: User) -> None:
    allowed, window = this_app().config["CITY_CHANGES"], timedelta(days=this_app().config["CITY_CHANGE_DAYS"])
    latest = profile_changes.latest_changes(user.id, CountedField.LOCATION, now() - window, allowed)
    if len(latest) == allowed:
        free_at = latest[-1] + window
        message = "You have changed your city too often; try again later."
        raise RateLimitedError((free_at - now()).total_seconds(), message, reset_at=free_at)
