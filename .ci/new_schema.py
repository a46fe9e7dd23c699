"""A plugin of pytest for a former release's suite: its databases get the schema of the checkout in NEW_CHECKOUT."""

import os
import subprocess
import sys
from pathlib import Path

import flask_migrate
from alembic.script import ScriptDirectory
from flask import current_app
from sqlalchemy import text


def upgrade(directory, revision="head", *_arguments, **_options):
    """Stand in for Flask-Migrate's: the new migrations run, by the new code, and the release finds its own head."""
    engine = current_app.extensions["migrate"].db.engine
    env = os.environ | {
        "DATABASE_URL": engine.url.render_as_string(hide_password=False),
        "SWIPER_INSTANCE": str(current_app.config["INSTANCE"]),
        "LOG_LEVEL": "WARNING",
    }
    flask = Path(sys.executable).parent / "flask"
    subprocess.run([flask, "db", "upgrade"], cwd=os.environ["NEW_CHECKOUT"], env=env, check=True)
    own = ScriptDirectory(directory).as_revision_number(revision)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :own"), {"own": own})


flask_migrate.upgrade = upgrade
