"""SQL of ended matches that the number of a deleted account keeps."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, select

from swiper.db.upsert import insert_if_absent
from swiper.extensions import db
from swiper.social.models import ENDED, EndedMatch, Pair, Swipe

# The other person's id, and the time of the end.
Ended = tuple[int, datetime]


def ended_matches_of(uid: int) -> list[Ended]:
    """Return the ended matches of a user."""
    is_ended = Pair.mask.bitwise_and(ENDED) != 0
    above = select(Pair.uid2, Pair.changed_at).where(Pair.uid1 == uid, is_ended)
    below = select(Pair.uid1, Pair.changed_at).where(Pair.uid2 == uid, is_ended)
    below = below.execution_options(everywhere="A pair is distributed by the lower of its two ids.")
    return [(other, at) for query in (above, below) for other, at in db.session.execute(query)]


def kept_ended_matches(digest: str, since: datetime) -> list[Ended]:
    """Return the ended matches of the account with this number that was deleted after `since`."""
    query = select(EndedMatch.uid, EndedMatch.ended_at).where(
        EndedMatch.digest == digest, EndedMatch.deleted_at > since
    )
    return [(other, ended_at) for other, ended_at in db.session.execute(query)]


def remove_kept(digest: str) -> None:
    """Remove the ended matches of a number."""
    db.session.execute(delete(EndedMatch).where(EndedMatch.digest == digest))


def keep(rows: list[dict[str, Any]]) -> None:
    """Insert rows of `EndedMatch`."""
    insert_if_absent(EndedMatch, rows, ["digest", "uid"])


def insert_ended(pairs: list[dict[str, Any]], swipes: list[dict[str, Any]]) -> None:
    """Insert rows of `Pair` and `Swipe`, except where there is one already."""
    insert_if_absent(Pair, pairs, ["uid1", "uid2"])
    insert_if_absent(Swipe, swipes, ["uid", "sid"])


def remove_all_with(uid: int) -> None:
    """Remove the rows in which `uid` is the other person."""
    others = delete(EndedMatch).where(EndedMatch.uid == uid)
    db.session.execute(others.execution_options(everywhere="Ended matches are distributed by the former phone."))


def remove_expired(before: datetime, count: int) -> int:
    """Remove the rows of up to `count` numbers whose account was deleted before `before`; return how many numbers."""
    is_over = EndedMatch.deleted_at < before
    query = select(EndedMatch.digest).where(is_over).distinct().limit(count)
    digests = list(db.session.scalars(query.execution_options(everywhere="The purge looks for any number.")))
    if digests:
        db.session.execute(delete(EndedMatch).where(EndedMatch.digest.in_(digests), is_over))
    return len(digests)
