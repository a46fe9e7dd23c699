"""IP bans: listed, added, lifted."""

from typing import Any

from flask import g, request

from swiper.admin import changes, schemas
from swiper.admin.views.base import blueprint, go, show
from swiper.bans.services import list_bans

_ban, _network = schemas.BanIn(), schemas.NetworkIn()


@blueprint.get("/bans")
def show_bans() -> Any:
    """The bans in force."""
    return show("bans.html", bans=list_bans())


@blueprint.post("/bans")
def add_ban() -> Any:
    """Ban an address or network; banning again replaces reason and end."""
    given = _ban.load(request.form)
    changes.ban(g.operator.id, given["network"], given["reason"], given["until"], request.remote_addr or "")
    return go("admin.show_bans", "The ban is in force.")


@blueprint.post("/bans/lift")
def lift_ban() -> Any:
    """Lift a ban."""
    if changes.lift_ban(g.operator.id, _network.load(request.form)["network"]):
        return go("admin.show_bans", "The ban is lifted.")
    return go("admin.show_bans", "There was no such ban.", "error")
