"""The log of what operators did. Nothing on the desk changes or removes a line."""

from typing import Any

from flask import request

from swiper.admin import audit, schemas
from swiper.admin.views.base import PAGE, blueprint, show

_query = schemas.ActionsQuery()


@blueprint.get("/actions")
def show_actions() -> Any:
    """Lines of the log, the latest first."""
    query = _query.load(request.args)
    lines = audit.list_actions(PAGE, **query)
    following = query | {"below": lines[-1].id} if len(lines) == PAGE else None
    return show("actions.html", lines=lines, following=following, query=query, actions=list(audit.Action))
