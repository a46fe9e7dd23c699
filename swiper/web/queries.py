"""SQL of the readiness check."""

from sqlalchemy import text

from swiper.extensions import db


def ask_database() -> None:
    """Run the smallest statement. Raises SQLAlchemy's errors when the database does not answer."""
    db.session.execute(text("SELECT 1"))
