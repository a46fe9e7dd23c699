"""Compile marshmallow schemas into functions that load input and serialise responses.

`schema.load` and `schema.dump` cost more than most views. A compiled schema returns the same result; tests compare the
two.
"""

import functools
import operator
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import msgspec
from apiflask import Schema
from marshmallow import ValidationError, fields, missing
from werkzeug.datastructures import MultiDict

from swiper.http.schemas import Flag, Id, InputSchema, Text, TextFields, WholeNumber

Load = Callable[[Any], dict[str, Any]]
Dump = Callable[[Any], Any]
# JSON takes the values of these fields unchanged, also a StrEnum.
PLAIN = (Text, WholeNumber, Flag, fields.String, fields.Integer, fields.Boolean, fields.Float, fields.Raw, fields.Dict)


def compile_load(schema: InputSchema) -> Load:
    """Return a function that does what `schema.load` does, for a schema without processors and schema validators.

    It raises what `schema.load` raises, which lists the errors of all fields.
    """
    names = [(name, field.data_key or name, field.deserialize) for name, field in schema.load_fields.items()]
    known = frozenset(key for _, key, _ in names)

    def load(data: Any) -> dict[str, Any]:
        if isinstance(data, MultiDict):
            data = schema.prepare(data)
        if type(data) in (dict, TextFields) and known.issuperset(data):
            try:
                found = [(name, deserialize(data.get(key, missing), key, data)) for name, key, deserialize in names]
                return {name: value for name, value in found if value is not missing}
            except ValidationError:
                # `schema.load` raises below, with the errors of all fields.
                pass
        loaded: dict[str, Any] = schema.load(data)
        return loaded

    return load


def compile_schema(schema: Any) -> Dump:
    """Return a function that does what `schema.dump` does. Raises TypeError for a kind of field that has no rule."""
    schema = schema() if isinstance(schema, type) else schema
    one = _dump_of(schema)
    return (lambda items: [one(item) for item in items]) if schema.many else one


def _dump_of(schema: Schema) -> Dump:
    required: list[tuple[str, str, Dump | None]] = []
    optional: list[tuple[str, str, Dump | None]] = []
    for name, field in schema.dump_fields.items():
        place = required if field.required else optional
        place.append((name, field.attribute or name, _field_dump(field)))

    def dump(value: Any) -> Any:
        if type(value) is msgspec.Raw:
            # The caller has serialised it already.
            return value
        # It is nearly always a dict, and isinstance with Mapping is slow.
        is_mapping = type(value) is dict or isinstance(value, Mapping)
        read = value.__getitem__ if is_mapping else functools.partial(getattr, value)
        made = {name: convert(read(key)) if convert else read(key) for name, key, convert in required}
        for name, key, convert in optional:
            if key in value if is_mapping else hasattr(value, key):
                made[name] = convert(read(key)) if convert else read(key)
        return made

    return dump


def _field_dump(field: Any) -> Dump | None:
    """Return the function that converts the field's value for JSON; None if JSON takes the value unchanged."""
    convert: Dump
    if isinstance(field, Id):
        convert = str
    elif isinstance(field, fields.Date | fields.AwareDateTime):
        convert = _isoformat
    elif isinstance(field, fields.Nested):
        convert = compile_schema(field.schema)
    elif isinstance(field, fields.List):
        inner = _field_dump(field.inner)
        convert = list if inner is None else lambda items: items if type(items) is msgspec.Raw else [*map(inner, items)]
    elif type(field) in PLAIN:
        return None
    elif not isinstance(field, PLAIN):
        raise TypeError(f"no rule for serialising {type(field).__name__}")
    else:
        # A field of our own that serialises itself.
        convert = functools.partial(_ask_field, field)
    return convert if not field.allow_none else lambda value: None if value is None else convert(value)


_isoformat: Callable[[date], str] = operator.methodcaller("isoformat")


def _ask_field(field: Any, value: Any) -> Any:
    return field.serialize(field.name, {field.attribute or field.name: value})
