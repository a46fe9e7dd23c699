"""The pages of people: find them, show one, correct and suspend them."""

import re
from typing import Any

from flask import g, request

from swiper.admin import changes, people, schemas
from swiper.admin.views.base import PAGE_SIZE, blueprint, redirect_to, render_page
from swiper.characters import simplify
from swiper.errors import NotFoundError, ParamError
from swiper.ids import MAX_ID
from swiper.logs import mask
from swiper.robots.seeding import is_robot_phone
from swiper.sms.phone_numbers import parse_phone

# Phone numbers have up to 15 digits. Ids that were made after the first day of the service have more.
MIN_ID_DIGITS = 16
# Text that looks like a phone number with a wrong number of digits. It must not appear in a URL either, since most of
# it may be somebody's number.
NUMBER_LIKE = re.compile(r"(?:tel:)?[ (]*\+?(?:[ ()./-]*\d){7,}[ ()./-]*(?:;.*)?", re.IGNORECASE)
_search, _query, _suspension = schemas.SearchIn(), schemas.PeopleQuery(), schemas.SuspensionIn()
_correction = schemas.CorrectionIn()


@blueprint.get("/people")
def list_people() -> Any:
    """The newest people, or those whose nickname begins with the text `nickname`."""
    query = _query.load(request.args)
    if query["nickname"]:
        found = people.people_called(query["nickname"], PAGE_SIZE, query["after"])
        following = {"nickname": query["nickname"], "after": found[-1][1]} if len(found) == PAGE_SIZE else None
        listed = [user for user, _ in found]
    else:
        listed = list(people.newest_people(PAGE_SIZE, query["below"]))
        following = {"below": listed[-1].id} if len(listed) == PAGE_SIZE else None
    return render_page("people.html", people=listed, mask=mask, following=following, query=query)


@blueprint.post("/people/search")
def search_people() -> Any:
    """Redirect to the person with an id or a phone number, or to the list by nickname.

    A phone number never appears in a URL.
    """
    wanted: str = _search.load(request.form)["wanted"]
    if wanted.isascii() and wanted.isdigit() and len(wanted) >= MIN_ID_DIGITS:
        return _redirect_to_person(int(wanted))
    phone = _as_phone(wanted)
    if phone is None and not NUMBER_LIKE.fullmatch(simplify(wanted)):
        return redirect_to("admin.list_people", nickname=wanted)
    uid = changes.find_person_by_phone(g.operator.id, phone) if phone else None
    return _redirect_to_person(uid) if uid else redirect_to("admin.list_people", "Nobody has this number.", "error")


def _as_phone(wanted: str) -> str | None:
    plain = simplify(wanted).replace(" ", "")
    if is_robot_phone(plain):
        return plain
    try:
        return parse_phone(wanted)
    except ParamError:
        return None


def _redirect_to_person(uid: int) -> Any:
    if uid > MAX_ID:
        raise NotFoundError()
    return redirect_to("admin.show_person", uid=uid)


@blueprint.get("/people/<id:uid>")
def show_person(uid: int) -> Any:
    """Everything about one person, with the phone masked. The log has an entry of each visit."""
    person = people.details_of(uid)
    changes.open_person(g.operator.id, uid)
    return render_page("person.html", person=person, phone=None)


@blueprint.post("/people/<id:uid>/phone")
def show_phone(uid: int) -> Any:
    """The same page with the full phone number. The log has an entry of it."""
    phone = changes.reveal_phone(g.operator.id, uid)
    return render_page("person.html", person=people.details_of(uid), phone=phone)


@blueprint.post("/people/<id:uid>/correct")
def correct_person(uid: int) -> Any:
    """Set a person's sex and birthday, which people can correct themselves only once."""
    given = _correction.load(request.form)
    changes.correct_profile(g.operator.id, uid, given["sex"], given["birthday"])
    return redirect_to("admin.show_person", "The profile is corrected.", uid=uid)


@blueprint.post("/people/<id:uid>/suspend")
def suspend_person(uid: int) -> Any:
    """Suspend a person, until a time or without an end."""
    given = _suspension.load(request.form)
    changes.suspend(g.operator.id, uid, given["reason"], given["until"])
    return redirect_to("admin.show_person", "The account is suspended.", uid=uid)


@blueprint.post("/people/<id:uid>/resume")
def resume_person(uid: int) -> Any:
    """End a suspension."""
    changes.resume(g.operator.id, uid)
    return redirect_to("admin.show_person", "The account is active.", uid=uid)
