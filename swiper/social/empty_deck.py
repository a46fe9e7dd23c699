"""Explains an empty deck: why it is empty, and which preferences would bring people if they were relaxed."""

from typing import Any

from swiper.db.replicas import read_lagging
from swiper.profiles.models import DatingSex
from swiper.profiles.profiles import Account
from swiper.social.candidates import MAX_CHUNK, all_values, unseen, unseen_candidates
from swiper.social.deck_session import DeckCriteria, make_criteria
from swiper.social.queries import deck as queries
from swiper.vip.levels import VipStatus
from swiper.vip.models import Permission


def explain(account: Account, vip_status: VipStatus, criteria: DeckCriteria, group: int) -> dict[str, Any]:
    """Return `reason` and `relax` for an empty group: why it is empty, and the names of preferences to relax."""
    # Group 0 has read all candidates already and found nobody.
    if group and next(unseen_candidates(criteria), None) is not None:
        reason = "end_of_deck"
    elif fits_anyone(criteria):
        reason = "all_swiped"
    else:
        reason = "nobody_fits"
    return {"reason": reason, "relax": _worth_relaxing(account, vip_status, criteria)}


def _worth_relaxing(account: Account, vip_status: VipStatus, criteria: DeckCriteria) -> list[str]:
    """Return the preferences of which each alone excludes unseen people.

    Another city is advised only to those whose VIP level lets them choose one.
    """
    own: dict[str, Any] = {
        "sex": account.wanted_sex,
        "location": criteria.location,
        "min_age": account.min_dating_age,
        "max_age": account.max_dating_age,
        "day": criteria.day,
    }
    wider: dict[str, dict[str, Any]] = {
        "dating_sex": {"sex": DatingSex.ANY},
        "min_dating_age": {"min_age": 18},
        "max_dating_age": {"max_age": 100},
    }
    relax = [
        name
        for name, change in wider.items()
        if own | change != own and has_more_unseen(criteria, make_criteria(account, **(own | change)))
    ]
    if vip_status.has(Permission.ANYLOCATION) and has_unseen_elsewhere(criteria):
        relax.append("dating_location")
    return relax


def fits_anyone(criteria: DeckCriteria) -> bool:
    """Return True if somebody fits the criteria, swiped or not."""
    return any(read_lagging([(queries.ANY_FITTING, values)])[0] for values in all_values(criteria))


def has_more_unseen(narrow: DeckCriteria, wider: DeckCriteria) -> bool:
    """Return True if somebody who is not swiped fits `wider` but not `narrow`, two criteria of the same caller.

    It reads up to `MAX_CHUNK` people, and as many for each page of older likers.
    """
    for values in all_values(wider):
        both = narrow.values | {name: values[name] for name in ("from_id", "likers")} | {"count": MAX_CHUNK}
        both |= {f"wider_{name}": value for name, value in values.items()}
        (rows,) = read_lagging([(queries.ONLY_WIDER, both)])
        if unseen(narrow.uid, [uid for (uid,) in rows]):
            return True
    return False


def has_unseen_elsewhere(criteria: DeckCriteria) -> bool:
    """Return True if another city has somebody who is not swiped and fits all other criteria.

    It reads up to `MAX_CHUNK` people, and as many for each page of older likers.
    """
    for values in all_values(criteria):
        (rows,) = read_lagging([(queries.IN_ANOTHER_CITY, values | {"count": MAX_CHUNK})])
        if unseen(criteria.uid, [uid for (uid,) in rows]):
            return True
    return False
