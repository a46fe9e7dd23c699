"""Schemas of what the vip endpoints take and answer."""

from typing import Any

from apiflask import Schema
from marshmallow import fields, validate

from swiper.http.schemas import ID_DOCUMENT, Id, InputSchema, WholeNumber, in_range
from swiper.vip.models import Order, OrderState, TicketState

# The body of a payment provider's notice, for the API document. The provider's class reads it.
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


class Cents(fields.Float):
    """An amount in cents that is answered in yuan."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> float | None:
        return None if value is None else value / 100


class VipOut(Schema):
    """The VIP part of a user or card. `badge` is true if the level has the permission `vipflag`."""

    level = fields.Integer(required=True)
    name = fields.String(required=True)
    badge = fields.Boolean(required=True)


class LevelOut(Schema):
    """A level, its price for a month in yuan, and its permissions."""

    level = fields.Integer(required=True)
    name = fields.String(required=True)
    price = fields.Float(required=True)
    permissions = fields.List(fields.String(), required=True)


class QuotaOut(Schema):
    """A daily quota. `limit` and `left` are null if there is no limit."""

    limit = fields.Integer(required=True, allow_none=True)
    used = fields.Integer(required=True)
    left = fields.Integer(required=True, allow_none=True)


class QuotasOut(Schema):
    """The caller's quotas of today by kind."""

    like = fields.Nested(QuotaOut, required=True)
    superlike = fields.Nested(QuotaOut, required=True)
    rewind = fields.Nested(QuotaOut, required=True)


class MembershipOut(Schema):
    """The caller's level, its expiry and permissions, and the quotas of today until `resets_at`."""

    level = fields.Integer(required=True)
    name = fields.String(required=True)
    expires_at = fields.AwareDateTime(required=True, allow_none=True)
    permissions = fields.List(fields.String(), required=True)
    quotas = fields.Nested(QuotasOut, required=True)
    resets_at = fields.AwareDateTime(required=True)


class OrderIn(InputSchema):
    """An order of `months` of `level`."""

    level = WholeNumber(required=True, validate=in_range(1, 100))
    months = WholeNumber(required=True, validate=in_range(1, 36))


class PaymentOut(Schema):
    """Where to pay: open `url` for the buyer. In the sandbox, POST to it."""

    provider = fields.String(required=True)
    url = fields.String(required=True)


class OrderOut(Schema):
    """An order. `amount` is in yuan. `payment` is null unless the order can be paid now."""

    id = Id(required=True)
    level = fields.Integer(required=True)
    months = fields.Integer(required=True)
    amount = Cents(attribute="amount_cents", required=True)
    currency = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf([state.value for state in OrderState]))
    created_at = fields.AwareDateTime(required=True)
    paid_at = fields.AwareDateTime(required=True, allow_none=True)
    payment = fields.Nested(PaymentOut, required=True, allow_none=True)


class NoticeOut(Schema):
    """The answer to a payment provider: the state of the order."""

    state = fields.String(required=True, validate=validate.OneOf([state.value for state in OrderState]))


class SaleIn(InputSchema):
    """The flash sale to queue up for."""

    sale_id = Id(required=True)


class SaleOut(Schema):
    """A flash sale. `price` is in yuan for all `months`."""

    id = Id(required=True)
    name = fields.String(required=True)
    level = fields.Integer(required=True)
    months = fields.Integer(required=True)
    price = Cents(attribute="price_cents", required=True)
    stock = fields.Integer(required=True)
    left = fields.Integer(required=True)
    starts_at = fields.AwareDateTime(required=True)
    ends_at = fields.AwareDateTime(required=True)


class TicketOut(Schema):
    """A ticket in a sale's queue. `order_id` is null unless the state is `ordered`."""

    ticket = Id(attribute="id", required=True)
    sale_id = Id(required=True)
    state = fields.String(required=True, validate=validate.OneOf([state.value for state in TicketState]))
    order_id = Id(required=True, allow_none=True)


def describe_order(order: Order, checkout_url: str | None) -> dict[str, Any]:
    """Return what `OrderOut` shows. `checkout_url` is shown only while the order is pending."""
    is_payable = order.state is OrderState.PENDING and checkout_url
    columns = {column.key: getattr(order, column.key) for column in Order.__table__.columns}
    payment = {"provider": order.provider, "url": checkout_url} if is_payable else None
    return columns | {"state": order.state.value, "payment": payment}
