"""Add to the OpenAPI document what APIFlask cannot derive from the schemas."""

import copy
import re
from http import HTTPStatus
from typing import Any

from apiflask import APIFlask

from swiper import errors
from swiper.errors import ApiError
from swiper.http.hooks import SAFE_METHODS, public_endpoints
from swiper.http.schemas import ID_DOCUMENT, Flag
from swiper.http.view_marks import doc, doc_of
from swiper.ids import MAX_ID

FORM = "application/x-www-form-urlencoded"
UPLOAD = "multipart/form-data"
KINDS: list[type[ApiError]] = [ApiError, *ApiError.__subclasses__()]
ERROR_SCHEMA = {
    "type": "object",
    "description": "The envelope of an error.",
    "required": ["code", "data", "message"],
    "additionalProperties": False,
    "properties": {
        "code": {
            "type": "integer",
            "description": "See the table of codes in the README.",
            "enum": sorted(kind.code for kind in KINDS),
        },
        "data": {"description": "Null, or what the caller needs to know, such as `reset_at` of a quota."},
        "message": {"type": "string", "description": "One sentence, zh or en by Accept-Language."},
        "errors": {
            "type": "object",
            "description": "Reasons by field.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
}
# Codes of errors that are also raised with another status than that of their class.
FURTHER_CODES = {
    400: {errors.ParamError.code},
    403: {errors.PaymentError.code},
    413: {errors.ParamError.code},
}
BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "The session that a login with `bearer=true` answers. With this header a cookie counts for nothing.",
}
RETRY_AFTER = {
    "required": True,
    "description": "Seconds until another try is worth it.",
    "schema": {"type": "integer", "minimum": 1},
}
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of a page that the caller still has.",
    "schema": {"type": "string"},
}
# A response writes an id in one way, as a string. A request may also write leading zeros or an integer.
ID_TEXT = {"type": "string", "format": "int64", "pattern": "^0*[1-9][0-9]*$", "maxLength": 19}
ID_GIVEN = {"oneOf": [ID_TEXT, {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID}]}
FLAG_IN_A_FORM = {"enum": sorted({str(word) for word in Flag.truthy | Flag.falsy})}
PICTURES = {"contentType": "image/jpeg, image/png, image/webp"}


def init_app(app: APIFlask) -> None:
    """Register the function that completes the document each time APIFlask builds it."""

    @app.spec_processor
    def complete(spec: Any) -> Any:
        # Remove duplicates: two blueprints may share a tag.
        spec["tags"] = list({tag["name"]: tag for tag in spec["tags"]}.values())
        schemas = spec["components"]["schemas"]
        for unused in ("ValidationError", "HTTPError"):
            schemas.pop(unused, None)
        for name, schema in schemas.items():
            if name.endswith("In"):
                _complete_input(schema)
        schemas["Error"] = ERROR_SCHEMA
        public = public_endpoints(app)
        cookie = {"type": "apiKey", "in": "cookie", "name": app.config["SESSION_COOKIE_NAME"]}
        spec["components"]["securitySchemes"] = {"session": cookie, "bearer": BEARER}
        for rule in app.url_map.iter_rules():
            path = re.sub(r"<(?:[^:>]+:)?([^>]+)>", r"{\1}", rule.rule)
            for method in rule.methods or ():
                operations = spec["paths"].get(path, {})
                operation = operations.get(method.lower())
                if operation is None:
                    continue
                view = app.view_functions[rule.endpoint]
                needs = doc_of(view).needs_setting
                if needs and not app.config[needs]:
                    del operations[method.lower()]
                    continue
                operation["operationId"] = rule.endpoint.rpartition(".")[2]
                _complete(operation, view, rule.endpoint not in public, method not in SAFE_METHODS)
                _complete_parameters(operation, doc_of(view))
                _complete_body(operation, schemas)
        return spec


def _complete(operation: dict[str, Any], view: Any, needs_login: bool, is_change: bool) -> None:
    """Add the login, the errors, and what the view's decorators declare."""
    described = doc_of(view)
    operation["security"] = [{"session": []}, {"bearer": []}] if needs_login else []
    operation["parameters"] += described.parameters
    if described.json_body:
        operation["requestBody"] = {"content": {"application/json": {"schema": described.json_body}}}
    if getattr(view, "has_etag", False):
        operation["parameters"].append(IF_NONE_MATCH)
        operation["responses"]["200"]["headers"] = {"ETag": {"required": True, "schema": {"type": "string"}}}
        operation["responses"]["304"] = {"description": "The page has not changed."}
    for following in described.links:
        [success] = operation["responses"].keys() & {"200", "201"}
        operation["responses"][success].setdefault("links", {})[following["operationId"]] = following
    for status in sorted(_statuses(operation, described.refusals, needs_login, is_change)):
        operation["responses"][str(status)] = _refusal(status)


def _refusal(status: int) -> dict[str, Any]:
    """Return the response for `status`: the envelope of an error, with the codes that this status can have."""
    codes = {kind.code for kind in KINDS if kind.status == status} | FURTHER_CODES.get(status, set())
    schema = {
        "allOf": [{"$ref": "#/components/schemas/Error"}],
        "properties": {"code": {"enum": sorted(codes)}},
    }
    described: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {"application/json": {"schema": schema}},
    }
    if status == 429:
        described["headers"] = {"Retry-After": RETRY_AFTER}
    return described


def _complete_parameters(operation: dict[str, Any], described: doc) -> None:
    """Add the schemas of the parameters in the path."""
    for parameter in operation["parameters"]:
        known = described.path_schemas.get(parameter["name"])
        if known is not None:
            parameter["schema"] |= known() if callable(known) else known
        elif parameter["in"] == "path":
            parameter["schema"] = ID_TEXT


def _complete_input(schema: dict[str, Any]) -> None:
    """Allow both forms of an id, and require the file of an upload."""
    for name, field in schema["properties"].items():
        if field == ID_DOCUMENT:
            schema["properties"][name] = ID_GIVEN
        elif field.get("format") == "binary":
            schema["required"] = [name]


def _complete_body(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Add whether a body is required, how a form writes JSON's types, and which image formats are accepted."""
    body = operation.get("requestBody", {})
    for media_type, content in body.get("content", {}).items():
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        schema = schemas.get(name, content["schema"])
        body["required"] = bool(schema.get("required"))
        if media_type == UPLOAD:
            content["encoding"] = dict.fromkeys(schema["properties"], PICTURES)
        elif media_type == FORM:
            content["schema"] = _as_form(schema)


def _as_form(schema: dict[str, Any]) -> dict[str, Any]:
    """Return `schema` for a form, which writes booleans as words and cannot write null."""
    form = copy.deepcopy(schema)
    for name, field in form["properties"].items():
        if field.get("type") == "boolean":
            form["properties"][name] = FLAG_IN_A_FORM
        elif isinstance(field.get("type"), list):
            field["type"] = field["type"][0]
            if "enum" in field:
                field["enum"].remove(None)
    return form


def _statuses(operation: dict[str, Any], refusals: tuple[int, ...], needs_login: bool, is_change: bool) -> set[int]:
    """Return the statuses of all errors that the operation can return."""
    places = {parameter["in"] for parameter in operation["parameters"]}
    statuses = {403, 503, *refusals}
    if needs_login:
        statuses.add(401)
    if is_change:
        # Operations without input refuse a body.
        statuses |= {400, 413, 415, 422}
    if "query" in places:
        statuses.add(422)
    if "path" in places:
        statuses.add(404)
    return statuses
