"""The page of the audit log. No page changes or deletes an entry."""

from typing import Any

from flask import request

from swiper.admin import audit, schemas
from swiper.admin.views.base import PAGE_SIZE, blueprint, render_page

_query = schemas.ActionsQuery()


@blueprint.get("/actions")
def show_actions() -> Any:
    """Entries of the log, the newest first."""
    query = _query.load(request.args)
    entries = audit.list_actions(PAGE_SIZE, **query)
    following = query | {"below": entries[-1].id} if len(entries) == PAGE_SIZE else None
    return render_page("actions.html", entries=entries, following=following, query=query, actions=list(audit.Action))
