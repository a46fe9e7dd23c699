"""What an answer may tell: every view declares it field by field, and private fields are in few of them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from apiflask import APIBlueprint, Schema
from flask import Flask
from marshmallow import fields

from swiper.extensions import db
from swiper.http.schemas import Id
from swiper.profiles.models import Operator, Preferences, Upload, User
from swiper.social.models import Friend, Swipe
from swiper.vip.models import Membership, Order, Quota, Ticket

# What the document leaves open, and why.
OPEN_ON_PURPOSE = {
    "Error.data": "null in nearly all errors; a quota tells its reset time, /readyz which part does not answer",
    "Error.errors": "reasons by the name of the field, and names are the client's own",
}
# The names of what belongs to its owner alone, and the operations that show it to them.
PRIVATE = {
    *("phone", "birthday", "dating_sex", "dating_location", "min_distance", "max_distance", "min_dating_age"),
    *("max_dating_age", "vibration", "only_match", "auto_play", "vcode", "sealed_code", "status", "is_robot"),
}
OWN_OPERATIONS = {"login", "show_profile", "modify_profile", "export", "export_by_post"}


def document_of(app: Flask) -> dict[str, Any]:
    document: dict[str, Any] = app.test_client().get("/openapi.json").json
    return document


def answers_of(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each operation's id and the schema of its success."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            successes = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
            assert successes, f"{method} {path} has no success"
            for answer in successes:
                content = answer.get("content", {}).get("application/json", {})
                yield operation.get("operationId") or f"{method} {path}", content.get("schema", {})


def open_places(schema: dict[str, Any], document: dict[str, Any], place: str, seen: frozenset[str]) -> Iterator[str]:
    """Where a schema lets anything pass."""
    reference = schema.get("$ref", "").rpartition("/")[2]
    if reference:
        if reference not in seen:
            target = document["components"]["schemas"][reference]
            yield from open_places(target, document, reference, seen | {reference})
        return
    parts = [part for word in ("anyOf", "oneOf", "allOf") for part in schema.get(word, ())]
    if not parts and not ({"type", "enum", "const"} & schema.keys()):
        yield place
    for part in parts:
        yield from open_places(part, document, place, seen)
    kinds = schema.get("type", ())
    if "object" in ([kinds] if isinstance(kinds, str) else kinds):
        if schema.get("additionalProperties") is not False:
            yield place
        for name, part in schema.get("properties", {}).items():
            yield from open_places(part, document, f"{place}.{name}", seen)
    if "array" in ([kinds] if isinstance(kinds, str) else kinds):
        yield from open_places(schema.get("items", {}), document, f"{place}[]", seen)


def names_in(schema: Any, document: dict[str, Any], seen: frozenset[str] = frozenset()) -> set[str]:
    """The names of all properties that a schema reaches."""
    if isinstance(schema, list):
        return set().union(*[names_in(part, document, seen) for part in schema])
    if not isinstance(schema, dict):
        return set()
    reference = schema.get("$ref", "").rpartition("/")[2]
    if reference:
        if reference in seen:
            return set()
        return names_in(document["components"]["schemas"][reference], document, seen | {reference})
    names = set(schema.get("properties", {}))
    return names.union(*[names_in(part, document, seen) for part in [*schema.values(), *_properties(schema)]])


def _properties(schema: dict[str, Any]) -> list[Any]:
    properties = schema.get("properties", {})
    return list(properties.values()) if isinstance(properties, dict) else []


def open_answers(app: Flask) -> set[str]:
    """The operations whose success is not told field by field, each with the place."""
    document = document_of(app)
    return {
        f"{operation}: {place}"
        for operation, schema in answers_of(document)
        for place in open_places(schema, document, "answer", frozenset())
    }


def test_every_answer_of_the_api_is_told_field_by_field(app: Flask) -> None:
    assert open_answers(app) == set()


def test_every_view_of_the_api_declares_what_it_answers(app: Flask) -> None:
    undeclared = []
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/api/"):
            declared = getattr(app.view_functions[rule.endpoint], "_spec", {}).get("response", {}).get("schema")
            if declared is None or declared == {}:
                undeclared.append(rule.endpoint)
    assert undeclared == []


def test_an_error_leaves_open_what_is_written_here_alone(app: Flask) -> None:
    document = document_of(app)
    error = document["components"]["schemas"]["Error"]
    assert set(open_places(error, document, "Error", frozenset())) == set(OPEN_ON_PURPOSE)


class LooseOut(Schema):
    """As loose as can be."""

    known = Id(required=True)
    raw = fields.Raw()
    free = fields.Dict()
    several = fields.List(fields.Dict())


def test_the_guard_notices_views_that_let_anything_pass(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    careless = APIBlueprint("careless", __name__, url_prefix="/api/careless")
    careless.get("/silent", endpoint="silent")(lambda: {"code": 0, "data": {"phone": "13800138000"}})
    careless.get("/loose", endpoint="loose")(careless.output(LooseOut)(lambda: {"code": 0, "data": {}}))
    app.register_blueprint(careless)
    assert open_answers(app) == {
        "silent: answer.data",
        "loose: LooseOut.raw",
        "loose: LooseOut.free",
        "loose: LooseOut.several[]",
    }


def test_what_is_private_is_named_by_the_own_views_alone(app: Flask) -> None:
    document = document_of(app)
    for operation, schema in answers_of(document):
        named = names_in(schema, document) & PRIVATE
        if operation in OWN_OPERATIONS:
            assert {"phone", "birthday", "dating_sex"} <= named
        else:
            assert named == set(), operation


PLACE = ("lat", "lon", "lng", "geo", "coord", "position", "gps", "distance", "nearby", "metres", "meters")
OWN_WISHES = {"min_distance", "max_distance"}


def test_no_exact_position_is_taken_stored_or_told(app: Flask) -> None:
    """A city is all that the service knows; the two distances are wishes of their owner."""
    document = document_of(app)
    named = names_in(list(document["components"]["schemas"].values()), document)
    for operations in document["paths"].values():
        for operation in operations.values():
            named |= {parameter["name"] for parameter in operation.get("parameters", ())}
    columns = {f"{table.name}.{column.name}" for table in db.metadata.sorted_tables for column in table.columns}
    assert "location" in named
    assert "users.location" in columns
    found = {name for name in named | columns if any(part in name.rpartition(".")[2].split("_") for part in PLACE)}
    assert found == OWN_WISHES | {f"preferences.{name}" for name in OWN_WISHES}


EXPORTED = {
    **{"AccountRow": User, "PreferencesRow": Preferences, "UploadRow": Upload, "MembershipRow": Membership},
    "OperatorRow": Operator,
    **{"OrderRow": Order, "TicketRow": Ticket, "QuotaRow": Quota, "SwipeRow": Swipe, "FriendRow": Friend},
}


@pytest.mark.parametrize("name", EXPORTED)
def test_the_export_names_every_column_of_its_tables(app: Flask, name: str) -> None:
    """A new column is missing here until somebody has decided whether its owner may see it."""
    told = document_of(app)["components"]["schemas"][name]["properties"]
    assert set(told) == {column.key for column in EXPORTED[name].__table__.columns}
