"""The request id in SQL, in a comment as sqlcommenter writes it, so that the database's own logs name the request.

Nothing of it is done unless SQL_COMMENTS or a trace asks for it: a text that is new in each request is parsed and
planned anew.
"""

import re
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from swiper.logs import request_id_var

# The option of an engine whose statements carry the comment.
IS_COMMENTED = "swiper_sql_comments"
COMMENT = re.compile(r" /\*request_id='[A-Za-z0-9._~-]*'\*/\Z")
# What could end the comment, or mean something to a driver.
UNSAFE = re.compile(r"[^A-Za-z0-9._~-]")
OUTSIDE = "-"


def request_comment() -> str:
    """Return the comment with the id of the running request or task; an empty text outside of both."""
    request_id = request_id_var.get()
    return "" if request_id == OUTSIDE else f" /*request_id='{UNSAFE.sub('_', request_id)}'*/"


def with_comment(sql: str) -> str:
    """Return a statement with the comment behind it, once."""
    return sql if COMMENT.search(sql) else sql + request_comment()


def without_comment(sql: str) -> str:
    """Return a statement as it was before."""
    return COMMENT.sub("", sql)


def comment_statements(engine: Engine) -> None:
    """Let all statements of an engine carry the comment, but for those that insert many rows at a time.

    PyMySQL would send these row by row, since it joins the rows of a statement only where nothing follows VALUES.
    """
    engine.update_execution_options(**{IS_COMMENTED: True})

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def comment(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> tuple[str, Any]:
        return statement if many else with_comment(statement), parameters
