"""Users of an experiment, with open sessions."""

from dataclasses import dataclass
from typing import Any

from flask import Flask
from sqlalchemy import delete, insert

from chaos.burst import RequestSpec
from swiper.auth.sessions import key_of, new_session, new_session_id
from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.extensions import db, redis
from swiper.vip.memberships import add_months
from swiper.vip.models import Membership

# Ids in one statement.
LEVELLED_AT_ONCE = 1_000
# When the lists of sessions say that these end.
FAR_FUTURE = 4_000_000_000


@dataclass(frozen=True)
class Member:
    """A user with an open session."""

    id: int
    session_id: str

    def get(self, path: str) -> RequestSpec:
        """A GET by this member."""
        return RequestSpec("GET", path, session_id=self.session_id)

    def post(self, path: str, **body: Any) -> RequestSpec:
        """A POST by this member."""
        return RequestSpec("POST", path, body, self.session_id)

    def swipe(self, kind: str, other: "Member") -> RequestSpec:
        """`kind` is like, superlike or dislike."""
        return self.post(f"/api/social/{kind}", sid=str(other.id))


def open_sessions(app: Flask, uids: list[int]) -> list[Member]:
    """Store a session of each user, as a login does."""
    interface: Any = app.session_interface
    pipe = app.extensions["redis"].pipeline(transaction=False)
    members = []
    with app.app_context():
        for uid in uids:
            session_id = new_session_id(uid)
            pipe.set(key_of(session_id), interface.serializer.encode(new_session(uid)), ex=86_400)
            pipe.zadd(redis.key(f"{{u:{uid}}}:sessions"), {session_id: FAR_FUTURE})
            members.append(Member(uid, session_id))
    pipe.execute()
    return members


@transactional
def put_on_level(uids: list[int], level: int) -> None:
    """All of them on `level`: some robots come with a membership of their own, for its badge."""
    for start in range(0, len(uids), LEVELLED_AT_ONCE):
        db.session.execute(delete(Membership).where(Membership.uid.in_(uids[start : start + LEVELLED_AT_ONCE])))
    if not level:
        return
    ends = add_months(now(), 1)
    db.session.execute(insert(Membership), [{"uid": uid, "level": level, "expires_at": ends} for uid in uids])
