"""A compiled schema answers what marshmallow itself answers."""

import json
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from apiflask import Schema
from flask import Flask
from marshmallow import fields
from werkzeug.datastructures import MultiDict

from swiper.admin.schemas import FormIn
from swiper.auth import schemas as auth
from swiper.errors import ApiError
from swiper.http.blueprints import Blueprint
from swiper.http.schemas import Id, InputSchema, Text, WholeNumber
from swiper.http.serialization import compile_load, compile_schema
from swiper.profiles.schemas import UploadIn
from swiper.social import schemas as social
from swiper.vip import schemas as vip

MOMENT = datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=UTC)
SCHEMAS = sorted(
    {
        kind
        for module in (auth, social, vip)
        for name, kind in vars(module).items()
        if name.endswith("Out") and isinstance(kind, type) and issubclass(kind, Schema)
    },
    key=lambda kind: kind.__name__,
)


def sample(field: Any) -> Any:
    """A value as services hand it over."""
    if isinstance(field, fields.Nested):
        return [filled(field.schema)] * 2 if field.schema.many else filled(field.schema)
    if isinstance(field, fields.List):
        return [sample(field.inner), sample(field.inner)]
    known = {Id: 2**62, fields.AwareDateTime: MOMENT, fields.Date: date(2000, 2, 29), fields.Boolean: True}
    found = [value for kind, value in known.items() if isinstance(field, kind)]
    return found[0] if found else 1250 if isinstance(field, fields.Integer | fields.Float) else '<小明>\u2028"\\'


def filled(schema: Schema, *, is_null: bool = False) -> dict[str, Any]:
    return {
        field.attribute or name: None if is_null and field.allow_none else sample(field)
        for name, field in schema.dump_fields.items()
    }


@pytest.mark.parametrize("is_null", [False, True])
@pytest.mark.parametrize("kind", SCHEMAS, ids=lambda kind: kind.__name__)
def test_the_same_as_marshmallow(kind: type[Schema], is_null: bool) -> None:
    value = filled(kind(), is_null=is_null)
    expected = json.loads(json.dumps(kind().dump(value)))
    assert json.loads(msgspec.json.encode(compile_schema(kind)(value))) == expected
    assert json.loads(msgspec.json.encode(compile_schema(kind(many=True))([value, value]))) == [expected] * 2


def subclasses(kind: type[Schema]) -> set[type[Schema]]:
    return {each for own in kind.__subclasses__() for each in (own, *subclasses(own))}


# Forms of the operator's desk have validators of their own, and are loaded by marshmallow.
INPUTS = sorted(
    (
        each
        for each in subclasses(InputSchema) - {UploadIn}
        if not issubclass(each, FormIn) and "swiper" in each.__module__
    ),
    key=lambda kind: kind.__name__,
)
VALUES = (
    *("", "1", "0", "-1", "+86 138-0013-8000", "13800138000", "123456", "小明", "上海", "male", "any", "2000-02-29"),
    *("true", "x" * 300, 1, 0, -1, 3, 2**63, 1.5, True, None, [], ["1"], {}),
)


def answer(load: Any, data: Any) -> Any:
    """What a loader returns, or the errors that it raises."""
    try:
        return load(data)
    except ApiError as error:
        return type(error), error.errors


@pytest.mark.parametrize("kind", INPUTS, ids=lambda kind: kind.__name__)
def test_input_is_loaded_as_marshmallow_loads_it(kind: type[InputSchema], app: Flask) -> None:
    schema = kind()
    assert not any(schema._hooks.values())
    names = [field.data_key or name for name, field in schema.load_fields.items()]
    valid = [{name: value} for name in names for value in VALUES]
    mixed = [dict(zip(names, VALUES[start:], strict=False)) for start in range(len(VALUES))]
    required = [field.data_key or name for name, field in schema.load_fields.items() if field.required]
    whole = [
        dict.fromkeys(some, value) | more
        for some in (names, required)
        for value in VALUES
        for more in ({}, {"unknown": "x"})
    ]
    # A view with files gets a form or nothing.
    other = () if issubclass(kind, UploadIn) else ([], None, "x", 7)
    load = compile_load(schema)
    seen = set()
    with app.test_request_context():
        for given in ({}, *other, *valid, *mixed, *whole):
            expected = answer(schema.load, given)
            assert answer(load, given) == expected
            seen.add(isinstance(expected, dict))
            if isinstance(given, dict):
                texts = {name: value for name, value in given.items() if isinstance(value, str)}
                for form in (MultiDict(texts), MultiDict([*texts.items(), *texts.items()])):
                    assert answer(load, form) == answer(schema.load, form)
    assert seen == {True, False}


def test_objects_are_read_like_mappings() -> None:
    class Thing:
        id, name = 7, "seven"

    class ThingOut(Schema):
        id = Id(required=True)
        name = fields.String(required=True)
        more = fields.String()

    assert compile_schema(ThingOut)(Thing()) == {"id": "7", "name": "seven"}
    with pytest.raises(KeyError):
        compile_schema(ThingOut)({"id": 7})


def test_what_is_json_already_goes_into_the_answer_as_it_is() -> None:
    class PlaceOut(Schema):
        name = fields.String(required=True)

    class WayOut(Schema):
        start = fields.Nested(PlaceOut, required=True)
        places = fields.List(fields.Nested(PlaceOut), required=True)

    start, places = msgspec.Raw(b'{"name":"home"}'), msgspec.Raw(b'[{"name":"here"},{"name":"there"}]')
    made = compile_schema(WayOut)({"start": start, "places": places})
    expected = {"start": {"name": "home"}, "places": [{"name": "here"}, {"name": "there"}]}
    assert json.loads(msgspec.json.encode(made)) == expected
    assert json.loads(msgspec.json.encode(compile_schema(WayOut)({"start": start, "places": [start]})))["places"]


def test_a_field_without_a_rule_is_refused_at_once() -> None:
    class Odd(Schema):
        when = fields.TimeDelta()

    with pytest.raises(TypeError, match="TimeDelta"):
        compile_schema(Odd)


def test_answers_are_compact_and_indented_in_debug_alone() -> None:
    app, blueprint = Flask("x"), Blueprint("b", "x", enable_openapi=False)

    @blueprint.get("/")
    @blueprint.output({}, status_code=201)
    def view() -> dict[str, Any]:
        return {"code": 0, "data": {"b": "小", "a": 1}}

    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.register_blueprint(blueprint)
    answer = app.test_client().get("/")
    assert (answer.status_code, answer.data) == (201, '{"code":0,"data":{"b":"小","a":1}}\n'.encode())
    app.debug = True
    answer = app.test_client().get("/")
    assert answer.status_code == 201
    assert '\n  "data": {\n    "a": 1,\n    "b": "小"\n' in answer.text


def loads_of(kind: type[fields.Field[Any]], queries: list[str]) -> tuple[list[Any], int]:
    """What a view gets from each query, which it changes each time, and how often the field loaded a value."""
    app, blueprint = Flask("x"), Blueprint("b", "x", enable_openapi=False)
    loads = []

    class CountingField(kind):  # type: ignore[misc, valid-type]
        def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
            loads.append(value)
            return super()._deserialize(value, *args, **kwargs)

    class QueryIn(InputSchema):
        value = CountingField(longest=2_000) if kind is Text else CountingField()

    @blueprint.get("/")
    @blueprint.input(QueryIn, location="query", arg_name="wanted")
    @blueprint.output({})
    def view(wanted: dict[str, Any]) -> dict[str, Any]:
        return {"code": 0, "data": [wanted.pop("value", None)]}

    app.register_blueprint(blueprint)
    client = app.test_client()
    return [client.get(f"/?{query}").json["data"][0] for query in queries], len(loads)  # type: ignore[index]


def test_the_last_short_queries_of_numbers_are_loaded_once() -> None:
    assert loads_of(WholeNumber, ["value=1", "value=2", "value=1", "", "value=1"]) == ([1, 2, 1, None, 1], 2)


def test_a_long_query_and_one_with_text_are_loaded_each_time() -> None:
    number = "0" * 17 + "1"
    assert loads_of(WholeNumber, [f"value={number}&{'&' * 40}"] * 2) == ([1, 1], 2)
    assert loads_of(Text, ["value=13800000000"] * 2) == (["13800000000"] * 2, 2)
