"""All changes that an operator can make. Each writes its entry of the audit log in the same transaction.

`actor` is the operator's id, None for the command line. NotFoundError means that what is to be changed does not exist.
"""

from datetime import date, datetime
from typing import Any

from swiper.admin import second_factor
from swiper.admin.audit import Action, record
from swiper.auth.login import find_by_phone
from swiper.bans import queries as ban_queries
from swiper.bans import services as bans
from swiper.bans.addresses import parse_address, parse_network
from swiper.db.transactions import transactional
from swiper.errors import NotFoundError, ParamError
from swiper.profiles import deleted_numbers, operators, profile_changes, suspensions
from swiper.profiles.models import Sex, Status
from swiper.profiles.queries import people
from swiper.profiles.queries.suspensions import find_suspension
from swiper.sms.phone_numbers import parse_phone
from swiper.vip import level_changes, sales
from swiper.vip.levels import find_level
from swiper.vip.models import FlashSale
from swiper.vip.queries import sales as sale_queries

# The target of a search by phone that found nobody. The log shows who tries many numbers, but not the numbers.
NOBODY = "nobody"


@transactional
def grant_role(actor: int | None, phone: str) -> bool:
    """Make the owner of a phone number an operator; False if they are one. Raises ParamError, NotFoundError."""
    uid = find_by_phone(parse_phone(phone))
    is_new = operators.grant_role(uid)
    if is_new:
        record(actor, Action.GRANT_ROLE, uid, {"operator": False}, {"operator": True})
    return is_new


@transactional
def revoke_role(actor: int | None, phone: str) -> bool:
    """Take the role and the second factor from an operator, named by phone; False if they have no role.

    Raises ParamError, NotFoundError.
    """
    uid = find_by_phone(parse_phone(phone))
    was_held = operators.revoke_role(uid)
    if was_held:
        second_factor.reset(uid)
        record(actor, Action.REVOKE_ROLE, uid, {"operator": True}, {"operator": False})
    return was_held


@transactional
def reset_second_factor(actor: int | None, phone: str) -> bool:
    """Delete an operator's second factor, so that they set up a new one; False if there is none.

    Raises ParamError, NotFoundError.
    """
    uid = find_by_phone(parse_phone(phone))
    was_set = second_factor.reset(uid)
    if was_set:
        record(actor, Action.RESET_SECOND_FACTOR, uid)
    return was_set


@transactional
def set_second_factor(actor: int, code: str) -> list[str]:
    """Confirm an operator's new authenticator by its `code`; returns the recovery codes.

    Raises CodeError, NotFoundError as `second_factor.confirm` does.
    """
    recovery_codes = second_factor.confirm(actor, code)
    record(actor, Action.SET_SECOND_FACTOR, actor)
    return recovery_codes


@transactional
def check_second_factor(actor: int, code: str) -> None:
    """Accept a code of an operator's authenticator, or a recovery code, once. Raises CodeError."""
    record(actor, Action.OPEN_DESK, actor, after={"by": second_factor.check(actor, code)})


@transactional
def open_person(actor: int, uid: int) -> None:
    """Log that an operator looks at the page of a person."""
    record(actor, Action.OPEN_PERSON, uid)


@transactional
def suspend(actor: int | None, uid: int, reason: str, until: datetime | None) -> None:
    """Suspend a person until `until`, or without an end if None. Raises NotFoundError, ParamError for oneself."""
    if uid == actor:
        raise ParamError("You cannot suspend yourself.")
    before = _account_status_of(uid)
    suspensions.suspend(uid, reason, until)
    record(actor, Action.SUSPEND, uid, before, _account_status_of(uid))


@transactional
def resume(actor: int | None, uid: int) -> None:
    """End the suspension of a person. Raises NotFoundError."""
    before = _account_status_of(uid)
    suspensions.resume(uid)
    record(actor, Action.RESUME, uid, before, _account_status_of(uid))


def _account_status_of(uid: int) -> dict[str, Any]:
    # Locked, so the log has the state that the change really replaced.
    user = people.lock_user(uid)
    if user is None:
        raise NotFoundError()
    held = find_suspension(uid) if user.status is Status.SUSPENDED else None
    return {"status": user.status.value} | ({"reason": held.reason, "until": held.until} if held else {})


@transactional
def resume_deleted(actor: int | None, phone: str) -> None:
    """End the suspension that is kept for the phone number (E.164) of a deleted account. Raises NotFoundError."""
    # The log has no phone numbers. The digest is the key of the kept row.
    digest = deleted_numbers.lift_suspension(phone)
    record(actor, Action.RESUME, digest, {"status": Status.SUSPENDED}, {"status": Status.ACTIVE})


@transactional
def correct_profile(actor: int | None, uid: int, sex: Sex | None, birthday: date | None) -> None:
    """Set a person's sex and birthday; None leaves a value as it is.

    Raises NotFoundError, ProfileError for a birthday of a minor.
    """
    before = _matching_fields(uid)
    profile_changes.correct_profile(uid, sex=sex, birthday=birthday)
    record(actor, Action.CORRECT_PROFILE, uid, before, _matching_fields(uid))


def _matching_fields(uid: int) -> dict[str, Any]:
    user = people.lock_user(uid)
    if user is None:
        raise NotFoundError()
    return {"sex": user.sex, "birthday": user.birthday, "deck_from": user.deck_from}


@transactional
def reveal_phone(actor: int, uid: int) -> str:
    """A person's full phone number, E.164. Raises NotFoundError."""
    user = people.find_user(uid)
    if user is None:
        raise NotFoundError()
    record(actor, Action.SHOW_PHONE, uid)
    return user.phone


@transactional
def find_person_by_phone(actor: int, phone: str) -> int | None:
    """The id of the person with this phone number, E.164; None if nobody has it. Both are logged."""
    try:
        uid = find_by_phone(phone)
    except NotFoundError:
        record(actor, Action.FIND_BY_PHONE, NOBODY)
        return None
    record(actor, Action.FIND_BY_PHONE, uid)
    return uid


@transactional
def ban(actor: int | None, text: str, reason: str, expires_at: datetime | None, own_address: str = "") -> str:
    """Ban an address or network until `expires_at`, or without an end if None; returns the network.

    Raises ParamError for text that is neither, and for a network that contains the operator's `own_address`.
    """
    network, own = parse_network(text), parse_address(own_address)
    if own is not None and own.version == network.version and own in network:
        raise ParamError("This ban would lock you out.")
    before = _ban_of(str(network))
    bans.ban_network(text, reason, expires_at)
    record(actor, Action.BAN, network, before, _ban_of(str(network)))
    return str(network)


@transactional
def lift_ban(actor: int | None, text: str) -> bool:
    """Lift the ban of exactly this network; False if there is none. Raises ParamError."""
    network = str(parse_network(text))
    before = _ban_of(network)
    was_banned = bans.unban_network(network)
    if was_banned:
        record(actor, Action.LIFT_BAN, network, before)
    return was_banned


def _ban_of(network: str) -> dict[str, Any] | None:
    held = ban_queries.lock_ban(network)
    return {"reason": held.reason, "expires_at": held.expires_at} if held else None


@transactional
def change_level(actor: int | None, number: int, name: str, price_cents: int, permissions: list[str]) -> None:
    """Replace name, monthly price and permissions of level `number`. Raises NotFoundError, ParamError."""
    before, after = level_changes.change_level(number, name, price_cents, permissions)
    record(actor, Action.CHANGE_LEVEL, number, before, after)


@transactional
def add_sale(actor: int | None, name: str, **wanted: Any) -> FlashSale:
    """Set up a flash sale; `wanted` are the other arguments of `vip.sales.add_sale`.

    Raises ParamError for values that make no sense, such as a level that does not exist.
    """
    if not find_level(wanted["level"]).name:
        raise ParamError(errors={"level": ["Not one of the choices."]})
    sale = sales.add_sale(name, **wanted)
    record(actor, Action.ADD_SALE, sale.id, None, {"name": sale.name} | wanted)
    return sale


@transactional
def close_sale(actor: int | None, sale_id: int) -> None:
    """End a flash sale now. Raises NotFoundError, ParamError if it is over."""
    sale = sale_queries.lock_sale(sale_id)
    before = _window_of(sale) if sale else None
    record(actor, Action.CLOSE_SALE, sale_id, before, _window_of(sales.close_sale(sale_id)))


def _window_of(sale: FlashSale) -> dict[str, Any]:
    return {"starts_at": sale.starts_at, "ends_at": sale.ends_at, "sold": sale.sold, "stock": sale.stock}
