"""The page of IP bans."""

from typing import Any

from flask import g, request

from swiper.admin import changes, schemas
from swiper.admin.views.base import blueprint, redirect_to, render_page
from swiper.bans.services import list_bans

_ban, _network = schemas.BanIn(), schemas.NetworkIn()


@blueprint.get("/bans")
def show_bans() -> Any:
    """The bans in force."""
    return render_page("bans.html", bans=list_bans())


@blueprint.post("/bans")
def add_ban() -> Any:
    """Ban an address or network; a second ban of it replaces reason and end."""
    given = _ban.load(request.form)
    changes.ban(g.operator.id, given["network"], given["reason"], given["until"], request.remote_addr or "")
    return redirect_to("admin.show_bans", "The ban is in force.")


@blueprint.post("/bans/lift")
def lift_ban() -> Any:
    """Lift a ban."""
    if changes.lift_ban(g.operator.id, _network.load(request.form)["network"]):
        return redirect_to("admin.show_bans", "The ban is lifted.")
    return redirect_to("admin.show_bans", "There was no such ban.", "error")
