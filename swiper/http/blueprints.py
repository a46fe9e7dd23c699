"""The base of all blueprints: schemas document what a view takes and returns, and serialise what it returns.

APIFlask would call `schema.dump` for each response, which costs more than most views. A compiled schema returns the
same result; a test compares the two.
"""

import functools
import operator
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import msgspec
from apiflask import APIBlueprint, Schema
from apiflask.schema_adapters.marshmallow import BODY_LOCATIONS
from flask import Response, jsonify
from marshmallow import fields

from swiper.extensions import this_app
from swiper.http.schemas import Flag, Id, Text, WholeNumber

Dump = Callable[[Any], Any]
# JSON takes the values of these fields unchanged, also a StrEnum.
PLAIN = (Text, WholeNumber, Flag, fields.String, fields.Integer, fields.Boolean, fields.Float, fields.Raw, fields.Dict)
_encode = msgspec.json.Encoder().encode


def ok(data: Any = None) -> dict[str, Any]:
    """Return the envelope of a success with `data`."""
    return {"code": 0, "data": data}


class Blueprint(APIBlueprint):
    """A blueprint whose views return `ok(data)`; the schema of `output` describes `data`."""

    def input(  # type: ignore[override]
        self, schema: Any, *, arg_name: str, read: Callable[[], Any] | None = None, **options: Any
    ) -> Callable[[Callable[..., Any]], Any]:
        """Document the view's input with `schema`, and pass the loaded input to the view as `arg_name`.

        `read` replaces the schema's own loading, for a view that needs more than the request to load its input.
        """
        document = super().input(schema, arg_name=arg_name, **options)

        def decorate(view: Callable[..., Any]) -> Any:
            by_schema: Any = document(view)
            location = options.get("location", "json")
            # `guard_bodies` and `open_request` read these marks. Decorators around this one keep them.
            by_schema.reads_body = location in BODY_LOCATIONS
            by_schema.reads_files = location in ("files", "form_and_files")
            if read is None:
                return by_schema

            @functools.wraps(by_schema)
            def serve(**kwargs: Any) -> Any:
                return view(**kwargs, **{arg_name: read()})

            return serve

        return decorate

    def output(  # type: ignore[override]
        self, schema: Any, status_code: int = 200, **options: Any
    ) -> Callable[[Callable[..., Any]], Any]:
        """Document the view's response with `schema`, and serialise it with the compiled schema."""
        document = super().output(schema, status_code=status_code, **options)
        dump = compile_schema(schema) if schema else None

        def decorate(view: Callable[..., Any]) -> Any:
            @functools.wraps(view)
            def respond(*args: Any, **kwargs: Any) -> Response:
                answer = view(*args, **kwargs)
                if isinstance(answer, Response):
                    # A stream; its service has serialised each piece with the schema.
                    return answer
                data = answer["data"]
                return _response(dump(data) if dump else data, status_code)

            # Take only the documentation from APIFlask's wrapper: the wrapper would serialise the response again.
            return functools.update_wrapper(respond, document(view), assigned=())

        return decorate


class SameOriginBlueprint(APIBlueprint):
    """A blueprint of HTML pages that only our own pages may read, whatever CORS_ORIGINS says.

    Its own hook checks the bodies of its forms.
    """


def _response(data: Any, status: int) -> Response:
    if this_app().debug:
        # Indented and sorted, so that developers can read it.
        response = jsonify({"code": 0, "data": msgspec.json.decode(_encode(data))})
        response.status_code = status
        return response
    return Response(b'{"code":0,"data":' + _encode(data) + b"}\n", status, mimetype="application/json")


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
