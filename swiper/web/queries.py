"""SQL of the readiness check."""

from sqlalchemy import text

from swiper.db.revisions import STORED
from swiper.extensions import db


def ask_database() -> None:
    """Run the smallest statement. Raises SQLAlchemy's errors when the database does not answer."""
    db.session.execute(text("SELECT 1"))


def stored_revisions() -> list[str]:
    """The revisions of the schema, as the migrations have stored them. Raises SQLAlchemy's errors without the table."""
    return list(db.session.scalars(STORED))
