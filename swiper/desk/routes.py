"""The `desk` blueprint with all of its pages."""

from swiper.desk.views import actions, bans, overview, people, shop, unlock
from swiper.desk.views.base import blueprint

__all__ = ["actions", "bans", "blueprint", "overview", "people", "shop", "unlock"]
