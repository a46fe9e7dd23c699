"""The schemas of paged lists."""

from typing import Any

from apiflask import Schema
from marshmallow import fields

from swiper.http.schemas import InputSchema, WholeNumber, in_range

MAX_PAGE = 100_000


class PageIn(InputSchema):
    """The input of every paged list: `page` from 1, `per_page` up to 100."""

    page = WholeNumber(load_default=1, validate=in_range(1, MAX_PAGE))
    per_page = WholeNumber(load_default=20, validate=in_range(1, 100))


def page_schema(name: str, item: type[Schema]) -> Schema:
    """Return the schema of one page of a list of `item`."""
    return Schema.from_dict(
        {
            "items": fields.List(fields.Nested(item), required=True),
            "total": fields.Integer(required=True),
            "page": fields.Integer(required=True),
            "pages": fields.Integer(required=True),
            "has_prev": fields.Boolean(required=True),
            "has_next": fields.Boolean(required=True),
            "prev_num": fields.Integer(required=True, allow_none=True),
            "next_num": fields.Integer(required=True, allow_none=True),
        },
        name=name,
    )()  # type: ignore[return-value]


def page_of(items: list[Any], total: int, page: int, per_page: int) -> dict[str, Any]:
    """Return one page of a list of `total` items, as `page_schema` describes it."""
    pages = -(-total // per_page)
    return {
        "items": items,
        "total": total,
        "page": page,
        "pages": pages,
        "has_prev": page > 1,
        "has_next": page < pages,
        "prev_num": page - 1 if page > 1 else None,
        "next_num": page + 1 if page < pages else None,
    }
