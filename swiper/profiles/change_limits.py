"""How often people may change what others are matched by: city, sex and birthday.

The deck leaves out people whose hidden `dating_sex` does not admit the caller's sex. Whoever saw the deck as a man and
then as a woman could read that preference of everybody from the difference. So a person who corrects their sex after
they could see a deck starts anew: from then on they are shown people who came later, and people who like them as they
are now. An operator who corrects the sex lifts that.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from swiper.clock import now
from swiper.errors import ProfileError, RateLimitedError
from swiper.extensions import db, this_app
from swiper.ids import first_id_at, new_id
from swiper.profiles.deleted_numbers import COMPARED, differing_from_former
from swiper.profiles.models import CountedField, ProfileChange, User
from swiper.vip.levels import VipStatus
from swiper.vip.models import Permission

CORRECTED = (CountedField.SEX, CountedField.BIRTHDAY)
USED_UP = "This has been corrected before; only an operator can change it again."


def count_changes(user: User, changes: dict[str, Any], current: VipStatus) -> None:
    """Count the changes of city, sex and birthday, before they are made, under the lock of the user's row.

    An equal value is no change, nor is a first one, unless a deleted account of the number had another. The city of
    those who may look anywhere is not counted.

    Raises ProfileError at a sex or birthday that was corrected before, RateLimitedError with the moment from which the
    city may be changed again.
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
    db.session.add_all(ProfileChange(uid=user.id, id=new_id(), field=field, changed_at=now()) for field in changed)


def _is_changed(user: User, field: CountedField, changes: dict[str, Any]) -> bool:
    stored = getattr(user, field)
    return field in changes and stored is not None and changes[field] != stored


def _is_used_up(user: User, field: CountedField) -> bool:
    query = select(func.count()).where(ProfileChange.uid == user.id, ProfileChange.field == field)
    allowed: int = this_app().config[f"{field.name}_CORRECTIONS"]
    return (db.session.scalar(query) or 0) >= allowed


def _check_city(user: User) -> None:
    allowed, window = this_app().config["CITY_CHANGES"], timedelta(days=this_app().config["CITY_CHANGE_DAYS"])
    moved = select(ProfileChange.changed_at).where(
        ProfileChange.uid == user.id,
        ProfileChange.field == CountedField.LOCATION,
        ProfileChange.changed_at > now() - window,
    )
    latest = db.session.scalars(moved.order_by(ProfileChange.changed_at.desc()).limit(allowed)).all()
    if len(latest) == allowed:
        free_at = latest[-1] + window
        message = "You have changed your city too often; try again later."
        raise RateLimitedError((free_at - now()).total_seconds(), message, reset_at=free_at)
