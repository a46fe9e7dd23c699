"""The extensions that the parts share. This module imports nothing of ours but the Redis client."""

from typing import TYPE_CHECKING, Any

from flask import Flask, Request
from flask.globals import app_ctx, request_ctx
from flask_caching import Cache
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session as BoundSession
from redis.connection import ConnectionPool
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

from swiper.fastpath import versions
from swiper.fastpath.redis_client import SharedRedis
from swiper.redis_client import AppRedis

REPLICA_KEY = "reads_may_lag"
# MariaDB compares text without case unless told otherwise; the other databases compare bytes.
TABLE_OPTIONS = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def this_app() -> Flask:
    """The current application itself, for other greenlets and threads; `current_app` is another one there."""
    return app_ctx.app


def this_request() -> Request:
    """The current request itself: code that reads many attributes looks it up once."""
    return request_ctx.request


def this_g() -> Any:
    """The current request's `g` itself."""
    return app_ctx.g


class Base(DeclarativeBase):
    """Base of all models; every constraint has a predictable name, so that migrations can drop it anywhere."""

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


class RoutedSession(BoundSession):
    """Sends a read to a replica where the code has said that it may lag."""

    def get_bind(self, mapper: Any = None, clause: Any = None, bind: Any = None, **kwargs: Any) -> Any:
        """A replica's engine inside `replica_reads()`, the primary's everywhere else."""
        if bind is None and REPLICA_KEY in self.info:
            return self.info[REPLICA_KEY]
        return super().get_bind(mapper=mapper, clause=clause, bind=bind, **kwargs)


class RedisClient:
    """The application's Redis connection pool, made at `init_app`."""

    def init_app(self, app: Any) -> None:
        """Build the client from `REDIS_URL` and `REDIS_OPTIONS`; nothing connects before the first command."""
        pool = ConnectionPool.from_url(app.config["REDIS_URL"], **app.config["REDIS_OPTIONS"])
        is_shared = versions.may_share(app.config["FAST_PATHS"] in ("on", "redis"), versions.REDIS)
        app.extensions["redis"] = (SharedRedis if is_shared else AppRedis)(connection_pool=pool)

    @property
    def client(self) -> AppRedis:
        """The current application's client."""
        client: AppRedis = this_app().extensions["redis"]
        return client


class SessionedSQLAlchemy(SQLAlchemy):
    """Knows whether this request has a session: most requests need none."""

    def has_session(self) -> bool:
        """True where this request has one."""
        registry: Any = self.session.registry
        return bool(registry.registry) and registry.has()

    def give_back_connection(self) -> None:
        """End the transaction of this request, if there is one, so that others get its connection.

        What follows may be a body that takes its time, or the decoding of a picture.
        """
        if self.has_session():
            self.session.rollback()


db = SessionedSQLAlchemy(model_class=Base, session_options={"class_": RoutedSession, "expire_on_commit": False})
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
