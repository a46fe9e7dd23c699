"""The Flask extensions, which all parts share. Of our modules, this imports only the Redis clients."""

import logging
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from flask import Flask, Request
from flask_caching import Cache
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session as BoundSession
from sqlalchemy import Connection, MetaData
from sqlalchemy.orm import DeclarativeBase

from config.redis_urls import RedisKind, kind_of
from swiper.fastpath import versions
from swiper.fastpath.context import current_app_context, current_request_context
from swiper.fastpath.redis_client import SentinelSharedRedis, SharedRedis
from swiper.redis_client import AppRedis
from swiper.redis_cluster import ClusterRedis
from swiper.redis_servers import make_pool

log = logging.getLogger(__name__)

# In the info of a session whose transaction has read from a replica.
REPLICA_USED = "replica_used"
# Without these, MariaDB would compare text without case. The other databases compare bytes.
TABLE_OPTIONS = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def this_app() -> Flask:
    """Return the current application itself instead of a proxy, so that other greenlets and threads can use it."""
    app: Flask = current_app_context().app
    return app


def this_request() -> Request:
    """Return the current request itself instead of a proxy, which would look it up for each attribute."""
    own: Request = current_request_context().request
    return own


def this_session() -> Any:
    """Return the current request's session itself instead of a proxy."""
    return current_request_context().session


def this_g() -> Any:
    """Return the current request's `g` itself instead of a proxy."""
    return current_app_context().g


class Base(DeclarativeBase):
    """Base of all models. Every constraint has a predictable name, so that migrations can drop it on each database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    __table_args__: Any = TABLE_OPTIONS


# Opens the connection of the running transactional service (`swiper/db/transactions.py`).
open_transaction: ContextVar[Callable[[], Connection] | None] = ContextVar("open_transaction", default=None)
# The database of the replica that answers the reads of this moment (`swiper/db/replicas.py`), a `statements.Database`.
reading_replica: ContextVar[Any] = ContextVar("reading_replica", default=None)


class RoutedSession(BoundSession):
    """A session that joins the running transaction, and reads from a replica inside `on_replica`."""

    def get_bind(self, mapper: Any = None, clause: Any = None, bind: Any = None, **kwargs: Any) -> Any:
        """Return the transaction's connection, a replica's engine inside `on_replica`, or the primary's engine."""
        if bind is None and (open_connection := open_transaction.get()) is not None:
            return open_connection()
        if bind is None and (replica := reading_replica.get()) is not None:
            self.info[REPLICA_USED] = True
            return replica.main
        return super().get_bind(mapper=mapper, clause=clause, bind=bind, **kwargs)


def make_client(url: str, options: dict[str, Any], *, is_shared: bool = False) -> AppRedis:
    """Return a client of the Redis that `url` names; with `is_shared` greenlets share a connection, if they can."""
    kind = kind_of(url)
    if kind is RedisKind.CLUSTER:
        if is_shared:
            log.info("REDIS_URL is a cluster: redis-py's own client serves instead of a shared connection")
        return ClusterRedis(url, options)
    shared = SentinelSharedRedis if kind is RedisKind.SENTINEL else SharedRedis
    return (shared if is_shared else AppRedis)(connection_pool=make_pool(url, options))


class RedisClient:
    """The application's Redis client, which `init_app` makes."""

    def init_app(self, app: Any) -> None:
        """Build the client from `REDIS_URL` and `REDIS_OPTIONS`. It connects when the first command is sent."""
        is_shared = versions.may_share(app.config["FAST_PATHS"] in ("on", "redis"), versions.REDIS)
        client = make_client(app.config["REDIS_URL"], app.config["REDIS_OPTIONS"], is_shared=is_shared)
        client.key_prefix = app.config["KEY_PREFIX"]
        app.extensions["redis"] = client

    @property
    def client(self) -> AppRedis:
        """Return the current application's client."""
        client: AppRedis = this_app().extensions["redis"]
        return client

    def key(self, name: str) -> str:
        """Return the key of this site in Redis for `name`. No key that the application uses is made otherwise."""
        return self.client.key(name)


class SessionedSQLAlchemy(SQLAlchemy):
    """Flask-SQLAlchemy that knows if a request has a session. Most requests need none."""

    def has_session(self) -> bool:
        """Return True if this request has a session."""
        registry: Any = self.session.registry
        return bool(registry.registry) and registry.has()

    def give_back_connection(self) -> None:
        """End the transaction of this request, if there is one, so that other requests can use its connection.

        What follows may take long, such as receiving a body or decoding a picture.
        """
        if self.has_session():
            self.session.rollback()


db = SessionedSQLAlchemy(
    model_class=Base,
    # The session's commit and rollback are those of the transaction that it has joined.
    session_options={"class_": RoutedSession, "expire_on_commit": False, "join_transaction_mode": "control_fully"},
)
if TYPE_CHECKING:

    class Model(Base):
        """What type checkers see of `db.Model`, which is made at run time."""

        __abstract__ = True
else:
    Model = db.Model
migrate = Migrate()
cache = Cache()
limiter = Limiter(key_func=get_remote_address)
redis = RedisClient()
