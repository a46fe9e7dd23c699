"""The endpoints of levels, memberships, orders, payments and flash sales."""

from typing import Any

from flask import g, request

from swiper.clock import today
from swiper.errors import NotFoundError
from swiper.http.blueprints import Blueprint, ok
from swiper.http.hooks import require_login
from swiper.http.page_cache import cached_page
from swiper.http.view_marks import doc, link, webhook
from swiper.tasks.queue import enqueue
from swiper.vip import levels, orders, payments, sales, schemas, tasks
from swiper.vip.models import Order
from swiper.vip.payments.sandbox import SandboxProvider

blueprint = Blueprint("vip", __name__, url_prefix="/api/vip", tag="VIP")
# A payment provider has no login. Its signature proves who it is.
blueprint.before_request(require_login(whitelist=("show_levels", "receive_payment")))


@blueprint.get("/levels")
@cached_page(levels.LEVELS_PAGE_KEY, "LEVELS_PAGE_SECONDS", is_public=True)
@blueprint.output(schemas.LevelOut(many=True))
def show_levels() -> dict[str, Any]:
    """The levels, their monthly prices in yuan and their permissions."""
    return ok(levels.list_levels())


@blueprint.get("/me")
@blueprint.output(schemas.MembershipOut)
def show_membership() -> dict[str, Any]:
    """The caller's level, its expiry and permissions, and what is left of the quotas of today."""
    level, day = g.vip_status.level, today()
    return ok(
        {
            "level": level.level,
            "name": level.name,
            "expires_at": g.vip_status.expires_at,
            "permissions": level.permissions,
            "quotas": levels.quotas_left(g.uid, g.vip_status, day),
            "resets_at": levels.resets_at(day),
        }
    )


def _described(order: Order) -> dict[str, Any]:
    url = payments.checkout_url(order.provider, order.id, order.amount_cents, order.currency)
    return ok(schemas.describe_order(order, url))


@blueprint.post("/orders")
@doc(
    refusals=(429,),
    links=(
        link("show_order", parameters={"order_id": "/data/id"}),
        link("pay_in_sandbox", parameters={"order_id": "/data/id"}),
    ),
)
@blueprint.input(schemas.OrderIn, location="json_or_form", arg_name="wanted")
@blueprint.output(schemas.OrderOut, status_code=201)
def order_level(wanted: dict[str, int]) -> dict[str, Any]:
    """Order a level for some months."""
    return _described(orders.create_order(g.uid, wanted["level"], wanted["months"]))


@blueprint.get("/orders/<id:order_id>")
@blueprint.output(schemas.OrderOut)
def show_order(order_id: int) -> dict[str, Any]:
    """One of the caller's orders."""
    return _described(orders.find_order(g.uid, order_id))


@blueprint.post("/payments/<provider>/callback")
@webhook
@doc(
    path_schemas={"provider": lambda: {"enum": payments.provider_names()}},
    parameters=(schemas.SIGNATURE,),
    json_body=schemas.NOTICE_BODY,
    refusals=(400,),
)
@blueprint.output(schemas.NoticeOut)
def receive_payment(provider: str) -> dict[str, Any]:
    """A payment provider's signed notice of a payment. Sending it again changes nothing."""
    notice = payments.find_provider(provider).read_callback(dict(request.headers), request.get_data())
    return ok({"state": orders.confirm_payment(provider, notice).state.value})


@blueprint.post("/payments/sandbox/checkout/<id:order_id>")
@blueprint.output(schemas.OrderOut)
def pay_in_sandbox(order_id: int) -> dict[str, Any]:
    """Pay one of the caller's orders without money. It exists only if the sandbox is the payment provider."""
    provider = payments.find_provider(SandboxProvider.name)
    if not isinstance(provider, SandboxProvider):
        raise NotFoundError()
    order = orders.find_order(g.uid, order_id)
    headers, body = provider.pay(order.id, order.amount_cents, order.currency)
    return _described(orders.confirm_payment(provider.name, provider.read_callback(headers, body)))


@blueprint.get("/sales")
@doc(links=(link("queue_up", body={"sale_id": "/data/0/id"}),))
@blueprint.output(schemas.SaleOut(many=True))
def show_sales() -> dict[str, Any]:
    """The flash sales that are open or will open later."""
    return ok(sales.list_sales())


@blueprint.post("/qbuy")
@doc(refusals=(404, 409), links=(link("show_ticket", parameters={"ticket_id": "/data/ticket"}),))
@blueprint.input(schemas.SaleIn, location="json_or_form", arg_name="wanted")
@blueprint.output(schemas.TicketOut)
def queue_up(wanted: dict[str, int]) -> dict[str, Any]:
    """Queue up for a flash sale. Poll the ticket for the result."""
    ticket, is_queued = sales.queue_up(g.uid, wanted["sale_id"])
    if is_queued:
        # A repeated request queues no second task. If this task is lost, the sweep serves the ticket.
        enqueue(tasks.serve, g.uid, ticket.id)
    return ok(ticket)


@blueprint.get("/qbuy/<id:ticket_id>")
@blueprint.output(schemas.TicketOut)
def show_ticket(ticket_id: int) -> dict[str, Any]:
    """The state of one of the caller's tickets."""
    return ok(sales.find_ticket(g.uid, ticket_id))
