"""`python -m chaos.upgrade_steps` upgrades to each revision that it reads, and says so; `upgrade_drill` runs it.

A process of its own, as `flask db upgrade` is, which pays its start once for all revisions.
"""

import sys

import flask_migrate

from config.settings import ROOT
from swiper import start_app


def main() -> None:
    """Read revisions from stdin until its end; print each when the database is there."""
    with start_app().app_context():
        for line in sys.stdin:
            flask_migrate.upgrade(str(ROOT / "migrations"), revision=line.strip())
            print(line.strip(), flush=True)


if __name__ == "__main__":
    main()
