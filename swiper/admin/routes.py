"""The `admin` blueprint with all of its pages."""

from swiper.admin.views import actions, bans, overview, people, shop, unlock
from swiper.admin.views.base import blueprint

__all__ = ["actions", "bans", "blueprint", "overview", "people", "shop", "unlock"]
