"""The blueprints' base: answers are serialised by functions that are made of their schemas once, not per request.

APIFlask documents an answer by its marshmallow schema and then walks that schema for each answer, which costs more than
most views. A compiled schema gives the same answer (a test compares them) in a tenth of the time.
"""

import functools
import operator
import re
from collections.abc import Callable, Mapping
from datetime import date
from io import BytesIO
from typing import Any

import msgspec
from apiflask import APIBlueprint, Schema
from apiflask.schema_adapters.marshmallow import BODY_LOCATIONS
from flask import Request, Response, jsonify
from marshmallow import fields
from werkzeug.exceptions import ClientDisconnected

from swiper.extensions import this_app
from swiper.fastpath.dispatch import ReadyResponse
from swiper.http.bodies import FORM, JSON
from swiper.http.schemas import Id

__all__ = ["FORM", "JSON", "Blueprint", "compile_schema", "quick_match"]

Dump = Callable[[Any], Any]
_encode = msgspec.json.Encoder().encode
# These go into JSON as they are; text may be an enum's.
PLAIN = (fields.String, fields.Integer, fields.Boolean, fields.Float, fields.Raw, fields.Dict)


class Blueprint(APIBlueprint):
    """A blueprint whose views return `ok(data)`, with `data` as the schema of `output` describes it."""

    def input(  # type: ignore[override]
        self, schema: Any, *, arg_name: str, quick: Callable[[], Any] | None = None, **options: Any
    ) -> Callable[[Callable[..., Any]], Any]:
        """Document what the view takes by `schema`, and give it as `arg_name`.

        `quick` may read the request in the place of this. For what clients usually send it needs no schema, and returns
        None for anything else, so that the schema says what is wrong with it.
        """
        document = super().input(schema, arg_name=arg_name, **options)

        def decorate(view: Callable[..., Any]) -> Any:
            by_schema: Any = document(view)
            location = options.get("location", "json")
            # For `guard_bodies` and the limit of the body; decorators around this one take the marks along.
            by_schema.reads_body = location in BODY_LOCATIONS
            by_schema.reads_files = location in ("files", "form_and_files")
            if quick is None:
                return by_schema

            @functools.wraps(by_schema)
            def serve(**kwargs: Any) -> Any:
                given = quick()
                return by_schema(**kwargs) if given is None else view(**kwargs, **{arg_name: given})

            return serve

        return decorate

    def output(  # type: ignore[override]
        self, schema: Any, status_code: int = 200, **options: Any
    ) -> Callable[[Callable[..., Any]], Any]:
        """Document the view's answer by `schema`, and serialise it by the compiled schema."""
        document = super().output(schema, status_code=status_code, **options)
        dump = compile_schema(schema) if schema else None

        def decorate(view: Callable[..., Any]) -> Any:
            @functools.wraps(view)
            def respond(*args: Any, **kwargs: Any) -> Response:
                answer = view(*args, **kwargs)
                if isinstance(answer, Response):
                    # A stream, which has gone through the schema piece by piece.
                    return answer
                data = answer["data"]
                return _response(dump(data) if dump else data, status_code)

            # The wrappers that this makes would do on each request what `respond` has done.
            respond._spec = document(respond)._spec  # type: ignore[attr-defined]
            respond._sync_ensured = True  # type: ignore[attr-defined]
            return respond

        return decorate


def quick_match(request: Request, forms: Mapping[str, re.Pattern[bytes]]) -> re.Match[bytes] | None:
    """The body of `request`, where it is written as the one of `forms` that is for its content type."""
    environ = request.environ
    form = forms.get(environ.get("CONTENT_TYPE", ""))
    length = environ.get("CONTENT_LENGTH", "")
    if form is None or len(length) > 3 or not length.isdecimal() or "HTTP_CONTENT_ENCODING" in environ:
        return None
    # Werkzeug reads through layers that guard against long bodies; should it have to, it finds this one again.
    try:
        body = environ["wsgi.input"].read(int(length))
    except OSError as error:
        raise ClientDisconnected() from error
    environ["wsgi.input"] = BytesIO(body)
    # Of a body that ended early it says so.
    return form.fullmatch(body) if len(body) == int(length) else None


def _response(data: Any, status: int) -> Response:
    if this_app().debug:
        # Indented and sorted, for people.
        response = jsonify({"code": 0, "data": msgspec.json.decode(_encode(data))})
        response.status_code = status
        return response
    return ReadyResponse(b'{"code":0,"data":' + _encode(data) + b"}\n", status)


def compile_schema(schema: Any) -> Dump:
    """What `schema.dump` does, for the kinds of fields that answers have. Raises TypeError for any other."""
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
            # It is JSON already; who made it answers for that.
            return value
        # Nearly always a dict, and for mappings isinstance walks through more than the class.
        is_mapping = type(value) is dict or isinstance(value, Mapping)
        read = value.__getitem__ if is_mapping else functools.partial(getattr, value)
        made = {name: convert(read(key)) if convert else read(key) for name, key, convert in required}
        for name, key, convert in optional:
            if key in value if is_mapping else hasattr(value, key):
                made[name] = convert(read(key)) if convert else read(key)
        return made

    return dump


def _field_dump(field: Any) -> Dump | None:
    """How one field's value is turned into what JSON knows; None for one that JSON knows already."""
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
    elif not isinstance(field, PLAIN):
        raise TypeError(f"no rule for serialising {type(field).__name__}")
    elif type(field)._serialize in [kind._serialize for kind in PLAIN]:
        return None
    else:
        # A field of our own that says itself how it is shown.
        convert = functools.partial(_ask_field, field)
    return convert if not field.allow_none else lambda value: None if value is None else convert(value)


_isoformat: Callable[[date], str] = operator.methodcaller("isoformat")


def _ask_field(field: Any, value: Any) -> Any:
    return field._serialize(value, field.name, None)
