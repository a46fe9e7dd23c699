"""`python -m deploy.prepare` runs the migrations and adds VIP levels, and robots if there are no people.

It is safe to repeat.
"""

import flask_migrate
from sqlalchemy import select

from config.settings import ROOT
from swiper import start_app
from swiper.extensions import db
from swiper.profiles.models import User
from swiper.robots.seeding import seed_robots
from swiper.vip.levels import seed_levels

FIRST_ROBOTS = 200


def main() -> None:
    """Prepare the database that the settings name. Raises the errors of the database."""
    with start_app().app_context():
        flask_migrate.upgrade(str(ROOT / "migrations"))
        seed_levels()
        if db.session.scalar(select(User.id).limit(1)) is None:
            print(f"first run: {FIRST_ROBOTS} robots move in", flush=True)
            seed_robots(FIRST_ROBOTS)


if __name__ == "__main__":
    main()
