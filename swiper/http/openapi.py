"""The OpenAPI document: what APIFlask cannot know from the schemas is added here."""

import copy
import re
from http import HTTPStatus
from typing import Any

from apiflask import APIFlask

from swiper import errors
from swiper.errors import ApiError
from swiper.http.hooks import SAFE_METHODS, public_endpoints
from swiper.http.schemas import ID_DOCUMENT, Flag
from swiper.http.view_marks import ViewDoc, doc_of
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
# Statuses that errors are raised with beside the one of their class.
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
# Pages that are kept with an ETag.
PAGES = ("social.show_hot", "vip.show_levels")
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of a page that the caller still has.",
    "schema": {"type": "string"},
}
CONFIRM_CODE = {
    "name": "X-Confirm-Code",
    "in": "header",
    "required": False,
    "description": "A fresh code of the own number, from `verify`; without one the answer is 1017.",
    "schema": {"type": "string"},
}
# Operations that ask for one, also from somebody who is logged in.
CONFIRMED = ("auth.export", "auth.export_by_post", "auth.delete_account")
# Refusals that only some operations know, beside those that follow from their parameters.
OWN_STATUSES = {
    "auth.verify": (429,),
    "auth.verify_by_get": (429,),
    "auth.login": (429,),
    "auth.export": (400, 429),
    "auth.export_by_post": (429,),
    "auth.delete_account": (429,),
    "profiles.upload_avatar": (413, 429),
    "profiles.upload_photo": (413, 429),
    "social.like": (404, 409, 429),
    "social.superlike": (404, 409, 429),
    "social.dislike": (404, 409),
    "social.rewind": (409, 429),
    "social.unfriend": (404,),
    "vip.order_level": (429,),
    "vip.receive_payment": (400,),
    "vip.queue_up": (404, 409),
}
# An answer writes an id as a string, one way; a request may write zeros before it, or a whole number.
ID_TEXT = {"type": "string", "format": "int64", "pattern": "^0*[1-9][0-9]*$", "maxLength": 19}
ID_GIVEN = {"oneOf": [ID_TEXT, {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID}]}
PHONE = {"format": "phone", "examples": ["13800138000", "+852 6123 4567"]}
FLAG_IN_A_FORM = {"enum": sorted({str(word) for word in Flag.truthy | Flag.falsy})}
PICTURES = {"contentType": "image/jpeg, image/png, image/webp"}
# What an answer is good for next: the operation, and from where in the answer it takes a parameter or a field.
LINKS = {
    "profiles.upload_photo": {"delete_photo": {"photo_id": "/data/id"}},
    "auth.show_sessions": {"end_session": {"session_id": "/data/items/0/id"}},
    "social.show_deck": {
        "show_card": {"user_id": "/data/users/0/id"},
        "like": {"sid": "/data/users/0/id"},
        "dislike": {"sid": "/data/users/0/id"},
    },
    "social.show_likers": {"superlike": {"sid": "/data/items/0/id"}},
    "social.show_friends": {"unfriend": {"sid": "/data/items/0/id"}},
    "vip.order_level": {"show_order": {"order_id": "/data/id"}, "pay_in_sandbox": {"order_id": "/data/id"}},
    "vip.show_sales": {"queue_up": {"sale_id": "/data/0/id"}},
    "vip.queue_up": {"show_ticket": {"ticket_id": "/data/ticket"}},
}
NOTICE_BODY = {
    "type": "object",
    "required": ["order_id", "payment_id", "amount_cents", "currency"],
    "properties": {
        "order_id": ID_DOCUMENT,
        "payment_id": {"type": "string", "minLength": 1, "maxLength": 64},
        "amount_cents": {"type": "integer"},
        "currency": {"type": "string"},
    },
}
SIGNATURE = {
    "name": "X-Signature",
    "in": "header",
    "required": True,
    "description": "Hexadecimal HMAC-SHA256 of `swiper-notice`, a line feed and the body, under PAYMENT_SECRET.",
    "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
}


def init_app(app: APIFlask) -> None:
    """Register the processor that completes the document, each time it is made."""

    @app.spec_processor
    def complete(spec: Any) -> Any:
        # Two blueprints may share a tag.
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
        if not app.config["VERIFY_BY_GET"]:
            spec["paths"]["/api/user/verify"].pop("get", None)
        for rule in app.url_map.iter_rules():
            path = re.sub(r"<(?:[^:>]+:)?([^>]+)>", r"{\1}", rule.rule)
            for method in rule.methods or ():
                operation = spec["paths"].get(path, {}).get(method.lower())
                if operation is not None:
                    _complete(operation, rule.endpoint, rule.endpoint not in public, method not in SAFE_METHODS)
                    _complete_parameters(operation, doc_of(app.view_functions[rule.endpoint]))
                    _complete_body(operation, schemas)
        return spec


def _complete(operation: dict[str, Any], endpoint: str, needs_login: bool, is_change: bool) -> None:
    """Add the errors, the login, what pages are kept by, and the payment callback's body, which it checks by itself."""
    operation["operationId"] = endpoint.rpartition(".")[2]
    operation["security"] = [{"session": []}, {"bearer": []}] if needs_login else []
    if endpoint == "vip.receive_payment":
        operation["parameters"].append(SIGNATURE)
        operation["requestBody"] = {"content": {"application/json": {"schema": NOTICE_BODY}}}
    if endpoint in CONFIRMED:
        operation["parameters"].append(CONFIRM_CODE)
    if endpoint in PAGES:
        operation["parameters"].append(IF_NONE_MATCH)
        operation["responses"]["200"]["headers"] = {"ETag": {"required": True, "schema": {"type": "string"}}}
        operation["responses"]["304"] = {"description": "The page has not changed."}
    for target, takes in LINKS.get(endpoint, {}).items():
        [success] = operation["responses"].keys() & {"200", "201"}
        operation["responses"][success].setdefault("links", {})[target] = _link(target, takes)
    for status in sorted(_statuses(operation, endpoint, needs_login, is_change)):
        operation["responses"][str(status)] = _refusal(status)


def _link(target: str, takes: dict[str, str]) -> dict[str, Any]:
    """An OpenAPI link; what is named `…_id` stands in the path, except for a sale's."""
    values = {name: f"$response.body#{pointer}" for name, pointer in takes.items()}
    is_body = values.keys() <= {"sid", "sale_id"}
    return {"operationId": target, ("requestBody" if is_body else "parameters"): values}


def _refusal(status: int) -> dict[str, Any]:
    """What is answered with `status`: the envelope of an error, with one of the codes that this status can have."""
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


def _complete_parameters(operation: dict[str, Any], doc: ViewDoc) -> None:
    """What the parameters in path and query may be."""
    for parameter in operation["parameters"]:
        if parameter["name"] in doc.path_values:
            parameter["schema"]["enum"] = doc.path_values[parameter["name"]]()
        elif parameter["name"] == "session_id":
            parameter["schema"] |= {"pattern": "^[0-9a-f]{32}$"}
        elif parameter["in"] == "path":
            parameter["schema"] = ID_TEXT
        elif parameter["name"] == "phonenum":
            parameter["schema"] |= PHONE


def _complete_input(schema: dict[str, Any]) -> None:
    """What a client may send: both forms of an id, phone numbers, and the file that an upload is about."""
    for name, field in schema["properties"].items():
        if field == ID_DOCUMENT:
            schema["properties"][name] = ID_GIVEN
        elif field.get("format") == "binary":
            schema["required"] = [name]
        elif name == "phonenum":
            field |= PHONE


def _complete_body(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Say whether there must be a body, how a form writes what JSON has types for, and which pictures we can read."""
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
    """`schema` for a form, which has words for booleans and none for null."""
    form = copy.deepcopy(schema)
    for name, field in form["properties"].items():
        if field.get("type") == "boolean":
            form["properties"][name] = FLAG_IN_A_FORM
        elif isinstance(field.get("type"), list):
            field["type"] = field["type"][0]
            if "enum" in field:
                field["enum"].remove(None)
    return form


def _statuses(operation: dict[str, Any], endpoint: str, needs_login: bool, is_change: bool) -> set[int]:
    places = {parameter["in"] for parameter in operation["parameters"]}
    statuses = {403, 503, *OWN_STATUSES.get(endpoint, ())}
    if needs_login:
        statuses.add(401)
    if is_change:
        # Those that take nothing refuse a body.
        statuses |= {400, 413, 415, 422}
    if "query" in places:
        statuses.add(422)
    if "path" in places:
        statuses.add(404)
    return statuses
