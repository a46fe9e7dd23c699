"""Finding people, looking at one, suspending and admitting them."""

import re
from typing import Any

from flask import g, request

from swiper.admin import changes, people, schemas
from swiper.admin.views.base import PAGE, blueprint, go, show
from swiper.characters import simplify
from swiper.errors import NotFoundError, ParamError
from swiper.ids import MAX_ID
from swiper.logs import mask
from swiper.robots.seeding import is_robot_phone
from swiper.sms.phone_numbers import parse_phone

# Phone numbers have up to 15 digits; ids of people who came after the service's first day have more.
SHORTEST_ID = 16
# Most of somebody's number, with a digit too few or too many, has no place in an address either.
NUMBER = re.compile(r"(?:tel:)?[ (]*\+?(?:[ ()./-]*\d){7,}[ ()./-]*(?:;.*)?", re.IGNORECASE)
_search, _query, _suspension = schemas.SearchIn(), schemas.PeopleQuery(), schemas.SuspensionIn()
_correction = schemas.CorrectionIn()


@blueprint.get("/people")
def list_people() -> Any:
    """The newest people, or those whose nickname begins with something."""
    query = _query.load(request.args)
    if query["nickname"]:
        found = people.people_called(query["nickname"], PAGE, query["after"])
        following = {"nickname": query["nickname"], "after": found[-1][1]} if len(found) == PAGE else None
        shown = [user for user, _ in found]
    else:
        shown = people.newest_people(PAGE, query["below"])
        following = {"below": shown[-1].id} if len(shown) == PAGE else None
    return show("people.html", people=shown, mask=mask, following=following, query=query)


@blueprint.post("/people/search")
def search_people() -> Any:
    """Go to whom an id or a phone number names, or to the list by nickname. A number never stands in an address."""
    wanted: str = _search.load(request.form)["wanted"]
    if wanted.isascii() and wanted.isdigit() and len(wanted) >= SHORTEST_ID:
        return _go_to(int(wanted))
    phone = _as_phone(wanted)
    if phone is None and not NUMBER.fullmatch(simplify(wanted)):
        return go("admin.list_people", nickname=wanted)
    uid = changes.find_person_by_phone(g.operator.id, phone) if phone else None
    return _go_to(uid) if uid else go("admin.list_people", "Nobody has this number.", "error")


def _as_phone(wanted: str) -> str | None:
    plain = simplify(wanted).replace(" ", "")
    if is_robot_phone(plain):
        return plain
    try:
        return parse_phone(wanted)
    except ParamError:
        return None


def _go_to(uid: int) -> Any:
    if uid > MAX_ID:
        raise NotFoundError()
    return go("admin.show_person", uid=uid)


@blueprint.get("/people/<id:uid>")
def show_person(uid: int) -> Any:
    """Everything about one person, the phone masked; the log has a line of who has looked."""
    person = people.details_of(uid)
    changes.open_person(g.operator.id, uid)
    return show("person.html", person=person, phone=None)


@blueprint.post("/people/<id:uid>/phone")
def show_phone(uid: int) -> Any:
    """The same with the phone in full, once: the answer goes nowhere else, and the log has a line of it."""
    phone = changes.reveal_phone(g.operator.id, uid)
    return show("person.html", person=people.details_of(uid), phone=phone)


@blueprint.post("/people/<id:uid>/correct")
def correct_person(uid: int) -> Any:
    """Set somebody's sex and birthday, which they may correct themselves only once."""
    given = _correction.load(request.form)
    changes.correct_profile(g.operator.id, uid, given["sex"], given["birthday"])
    return go("admin.show_person", "The profile is corrected.", uid=uid)


@blueprint.post("/people/<id:uid>/suspend")
def suspend_person(uid: int) -> Any:
    """Lock somebody out, for a while or for good."""
    given = _suspension.load(request.form)
    changes.suspend(g.operator.id, uid, given["reason"], given["until"])
    return go("admin.show_person", "The account is suspended.", uid=uid)


@blueprint.post("/people/<id:uid>/resume")
def resume_person(uid: int) -> Any:
    """Admit somebody again."""
    changes.resume(g.operator.id, uid)
    return go("admin.show_person", "The account is active.", uid=uid)
