"""SQL of the backfill of folded nicknames."""

from collections.abc import Sequence

from sqlalchemy import Row, func, select

from swiper.extensions import db
from swiper.profiles.models import Nickname


def names_after(folded: str, limit: int) -> Sequence[Row[str, int]]:
    """The next folded names behind one, in their order, with their owners."""
    query = select(Nickname.folded, Nickname.uid).where(Nickname.folded > folded).order_by(Nickname.folded).limit(limit)
    return db.session.execute(query.execution_options(everywhere="The backfill looks at names of anybody.")).all()


def count_names_after(folded: str) -> int:
    """How many folded names follow one."""
    query = select(func.count()).where(Nickname.folded > folded)
    return db.session.scalar(query.execution_options(everywhere="The backfill looks at names of anybody.")) or 0
