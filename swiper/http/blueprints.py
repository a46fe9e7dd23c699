"""The base of all blueprints: schemas document what a view takes and returns, and serialise what it returns."""

import functools
from collections.abc import Callable
from typing import Any

import msgspec
from apiflask import APIBlueprint
from apiflask.schema_adapters.marshmallow import BODY_LOCATIONS
from flask import Response, jsonify

from swiper.extensions import this_app, this_request
from swiper.http.schemas import LOADERS, InputSchema, WholeNumber
from swiper.http.serialization import compile_load, compile_schema

REMEMBERED_QUERIES = 1_000
SHORT_QUERY_BYTES = 64

_encode = msgspec.json.Encoder().encode


def ok(data: Any = None) -> dict[str, Any]:
    """Return the envelope of a success with `data`."""
    return {"code": 0, "data": data}


class Blueprint(APIBlueprint):
    """A blueprint whose views return `ok(data)`; the schema of `output` describes `data`."""

    def input(  # type: ignore[override]
        self, schema: type[InputSchema], *, location: str, arg_name: str, read: Callable[[], Any] | None = None
    ) -> Callable[[Callable[..., Any]], Any]:
        """Document the view's input with `schema`, and pass the loaded input to the view as `arg_name`.

        `location` is one of `LOADERS`. `read` replaces the schema's own loading, for a view that needs more than the
        request to load its input.
        """
        document = super().input(schema, location=location, arg_name=arg_name)
        own = schema()
        parse, load = LOADERS[location], compile_load(own)

        def read_input() -> Any:
            return load(parse(this_request(), own))

        is_of_numbers = location == "query" and all(isinstance(field, WholeNumber) for field in own.fields.values())
        read = read or (_remember(read_input) if is_of_numbers else read_input)

        def decorate(view: Callable[..., Any]) -> Any:
            def serve(**kwargs: Any) -> Any:
                kwargs[arg_name] = read()
                return view(**kwargs)

            # Take only the documentation from APIFlask's wrapper: the wrapper would load the input in its own way.
            documented: Any = functools.update_wrapper(serve, document(view))
            # `guard_bodies` and `open_request` read these marks. Decorators around this one keep them.
            documented.reads_body = location in BODY_LOCATIONS
            documented.reads_files = location == "files"
            return documented

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


def _remember(read: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """Return a function that does what `read` does, and remembers what the last short queries were loaded to.

    Only for queries that hold no personal data. Most clients ask for the same few pages and groups.
    """

    @functools.lru_cache(maxsize=REMEMBERED_QUERIES)
    def load_query(_query: bytes) -> dict[str, Any]:
        return read()

    def read_query() -> dict[str, Any]:
        query = this_request().query_string
        return load_query(query).copy() if len(query) <= SHORT_QUERY_BYTES else read()

    return read_query


def _response(data: Any, status: int) -> Response:
    if this_app().debug:
        # Indented and sorted, so that developers can read it.
        response = jsonify({"code": 0, "data": msgspec.json.decode(_encode(data))})
        response.status_code = status
        return response
    return Response(b'{"code":0,"data":' + _encode(data) + b"}\n", status, mimetype="application/json")
