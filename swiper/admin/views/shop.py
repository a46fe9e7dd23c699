"""The pages of VIP levels, flash sales and orders."""

from datetime import timedelta
from typing import Any

from flask import g, request
from werkzeug.datastructures import MultiDict

from swiper.admin import changes, schemas, shop
from swiper.admin.views.base import PAGE_SIZE, blueprint, redirect_to, render_page
from swiper.clock import now
from swiper.vip.level_changes import list_permissions
from swiper.vip.levels import list_levels
from swiper.vip.models import OrderState

_level, _sale, _query, _orders = schemas.LevelIn(), schemas.SaleIn(), schemas.QueryIn(), schemas.OrdersQuery()


@blueprint.get("/levels")
def show_levels() -> Any:
    """All levels with their prices and permissions."""
    return render_page("levels.html", levels=list_levels(), permissions=list_permissions())


@blueprint.post("/levels/<int(max=100):number>")
def change_level(number: int) -> Any:
    """Change name, price and permissions of a level."""
    # The name `permissions` comes once for each ticked box. In all other forms a name may come only once.
    rest = MultiDict((name, value) for name, value in request.form.items(multi=True) if name != "permissions")
    given = _level.load(rest)
    permissions = request.form.getlist("permissions")
    changes.change_level(g.operator.id, number, given["name"], given["price"], permissions)
    return redirect_to("admin.show_levels", "The level is changed.")


@blueprint.get("/sales")
def show_sales() -> Any:
    """Sales, the newest first, and the form for a new one."""
    sales = shop.newest_sales(PAGE_SIZE, _query.load(request.args)["below"])
    following = {"below": sales[-1].id} if len(sales) == PAGE_SIZE else None
    moment = now()
    return render_page(
        "sales.html",
        sales=sales,
        following=following,
        levels=[level for level in list_levels() if level.level],
        now=moment,
        tomorrow=moment + timedelta(days=1),
    )


@blueprint.post("/sales")
def add_sale() -> Any:
    """Set up a sale."""
    given = _sale.load(request.form)
    changes.add_sale(g.operator.id, given.pop("name"), **given)
    return redirect_to("admin.show_sales", "The sale is set up.")


@blueprint.post("/sales/<id:sale_id>/close")
def close_sale(sale_id: int) -> Any:
    """End a sale now."""
    changes.close_sale(g.operator.id, sale_id)
    return redirect_to("admin.show_sales", "The sale is closed.")


@blueprint.get("/orders")
def show_orders() -> Any:
    """Orders, the newest first."""
    query = _orders.load(request.args)
    orders = shop.newest_orders(PAGE_SIZE, **query)
    kept = {"state": query["state"].value if query["state"] else None, "uid": query["uid"]}
    following = kept | {"below": orders[-1].id} if len(orders) == PAGE_SIZE else None
    return render_page("orders.html", orders=orders, following=following, states=list(OrderState), query=query)


@blueprint.get("/orders/<id:order_id>")
def show_order(order_id: int) -> Any:
    """One order."""
    return render_page("order.html", order=shop.find_order(order_id))
