"""`python -m deploy.prepare` runs the migrations and adds VIP levels, and robots if there are no people.

It is safe to repeat, and to run on several machines at once: one after the other does what is left.
"""

import flask_migrate
from sqlalchemy import select

from config.settings import ROOT
from swiper import start_app
from swiper.db.upgrades import preparation_lock
from swiper.extensions import db
from swiper.profiles.models import User
from swiper.robots.seeding import PLACES, seed_robots
from swiper.vip.levels import seed_levels

# As many at least, also where `ROBOTS_PER_CITY` is small.
FIRST_ROBOTS = 200


def main() -> None:
    """Prepare the database that the settings name. Raises the errors of the database."""
    app = start_app()
    with app.app_context(), preparation_lock(db.engine):
        flask_migrate.upgrade(str(ROOT / "migrations"))
        seed_levels()
        if db.session.scalar(select(User.id).limit(1)) is None:
            robots = max(FIRST_ROBOTS, len(PLACES) * app.config["ROBOTS_PER_CITY"])
            print(f"first run: {robots} robots move in", flush=True)
            seed_robots(robots)


if __name__ == "__main__":
    main()
