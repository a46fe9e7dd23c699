"""The OpenAPI document: what APIFlask cannot know from the schemas is added here."""

import re
from http import HTTPStatus
from typing import Any

from apiflask import APIFlask

from swiper.hooks import LOGIN_POLICIES

ERROR = {"$ref": "#/components/schemas/Error"}
ERROR_SCHEMA = {
    "type": "object",
    "description": "The envelope of an error.",
    "required": ["code", "data", "message"],
    "additionalProperties": False,
    "properties": {
        "code": {"type": "integer", "description": "See the table of codes in the README."},
        "data": {"description": "Null, or what the caller needs to know, such as `reset_at` of a quota."},
        "message": {"type": "string", "description": "One sentence, zh or en by Accept-Language."},
        "errors": {
            "type": "object",
            "description": "Reasons by field.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
}
COOKIE = {"type": "apiKey", "in": "cookie", "name": "swiper_session"}
# Refusals that only some operations know, beside those that follow from their parameters.
OWN_STATUSES = {
    "auth.verify": (429,),
    "auth.verify_by_get": (429,),
    "auth.login": (429,),
    "auth.upload_avatar": (413, 429),
    "auth.upload_photo": (413, 429),
    "social.like": (404, 409, 429),
    "social.superlike": (404, 409, 429),
    "social.dislike": (404, 409),
    "social.rewind": (409, 429),
    "social.unfriend": (404,),
    "vip.receive_payment": (400,),
    "vip.queue_up": (404, 409),
}
NOTICE_BODY = {
    "type": "object",
    "required": ["order_id", "payment_id", "amount_cents", "currency"],
    "properties": {
        "order_id": {"type": "string"},
        "payment_id": {"type": "string", "minLength": 1, "maxLength": 64},
        "amount_cents": {"type": "integer"},
        "currency": {"type": "string"},
    },
}
SIGNATURE = {
    "name": "X-Signature",
    "in": "header",
    "required": True,
    "description": "Hexadecimal HMAC-SHA256 of the body under PAYMENT_SECRET.",
    "schema": {"type": "string"},
}


def init_app(app: APIFlask) -> None:
    """Register the processor that completes the document, each time it is made."""
    public = {f"{blueprint.name}.{view}" for blueprint, whitelist in LOGIN_POLICIES for view in whitelist}

    @app.spec_processor
    def complete(spec: Any) -> Any:
        schemas = spec["components"]["schemas"]
        for unused in ("ValidationError", "HTTPError"):
            schemas.pop(unused, None)
        schemas["Error"] = ERROR_SCHEMA
        spec["components"]["securitySchemes"] = {"session": COOKIE}
        for rule in app.url_map.iter_rules():
            path = re.sub(r"<(?:[^:>]+:)?([^>]+)>", r"{\1}", rule.rule)
            for method in rule.methods or ():
                operation = spec["paths"].get(path, {}).get(method.lower())
                if operation is not None:
                    _complete(operation, rule.endpoint, rule.endpoint not in public)
        return spec


def _complete(operation: dict[str, Any], endpoint: str, needs_login: bool) -> None:
    """Add the errors, the login and, for the payment callback, the body that it checks by itself."""
    operation["operationId"] = endpoint.rpartition(".")[2]
    operation["security"] = [{"session": []}] if needs_login else []
    if endpoint == "vip.receive_payment":
        operation["parameters"].append(SIGNATURE)
        operation["requestBody"] = {"content": {"application/json": {"schema": NOTICE_BODY}}}
    if "requestBody" in operation:
        operation["requestBody"]["required"] = True
    for status in sorted(_statuses(operation, endpoint, needs_login)):
        operation["responses"][str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {"application/json": {"schema": ERROR}},
        }


def _statuses(operation: dict[str, Any], endpoint: str, needs_login: bool) -> set[int]:
    places = {parameter["in"] for parameter in operation["parameters"]}
    statuses = {403, 503, *OWN_STATUSES.get(endpoint, ())}
    if needs_login:
        statuses.add(401)
    if "requestBody" in operation:
        statuses |= {400, 413, 422}
    if "query" in places:
        statuses.add(422)
    if "path" in places:
        statuses.add(404)
    return statuses
