"""Swiper: a self-hosted swipe-to-match service. `create_app` is the only place that knows every part."""

import logging.config
import pkgutil
import sys
import tomllib
from datetime import timedelta
from pkgutil import resolve_name
from typing import Any

from apiflask import APIFlask
from flask import Flask
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter, ValidationError

from config import key_families
from config.load import load_settings, tell
from config.logging import logging_config
from config.settings import ROOT, ConfigurationError, Settings
from swiper import backfills, cli, extensions, hooks, limit_storage, sms, storage
from swiper.admin import metrics_buffer, metrics_receivers
from swiper.admin.routes import blueprint as admin_blueprint
from swiper.auth import sessions
from swiper.auth.routes import blueprint as auth_blueprint
from swiper.db import engines
from swiper.http import openapi, responses
from swiper.http.hooks import guard_bodies
from swiper.http.schemas import EnvelopeOut
from swiper.ids import MAX_ID
from swiper.profiles.folded_names import FOLD_NICKNAMES
from swiper.profiles.routes import blueprint as profiles_blueprint
from swiper.site_marker import claim_site_at_start
from swiper.social.routes import blueprint as social_blueprint
from swiper.tasks import celery
from swiper.vip import payments
from swiper.vip.routes import blueprint as vip_blueprint
from swiper.web.routes import blueprint as web_blueprint

VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
# gunicorn does not start a worker again that ends so (gunicorn.arbiter.Arbiter.APP_LOAD_ERROR).
CANNOT_LOAD = 4
CACHE_CLASSES = {
    "null": "NullCache",
    "simple": "swiper.cache.backends.PackedSimpleCache",
    "file": "swiper.cache.backends.PackedFileCache",
    "redis": "swiper.cache.backends.SharedRedisCache",
    "memcached": "swiper.cache.memcached.TimeLimitedMemcachedCache",
}

BACKFILLS = (FOLD_NICKNAMES,)


class IdConverter(BaseConverter):
    """A 64-bit id in a path; anything else is a path that does not exist."""

    regex = r"[0-9]{1,19}"

    def to_python(self, value: str) -> int:
        """The number, where it is within 1 to 2^63-1."""
        number = int(value)
        if not 0 < number <= MAX_ID:
            raise ValidationError()
        return number


def start_app() -> Flask:
    """`create_app` for a program of ours: each fault of the settings is told in one line, and ends the process.

    A log line tells if another site with the same name uses this Redis.
    """
    try:
        settings = load_settings()
        if settings.restore_mark.exists():
            # Half of the data, and accounts that were deleted, would be shown.
            raise ConfigurationError("a restore of a backup runs or did not end; repeat it with --replace")
        app = create_app(settings)
    except ConfigurationError as error:
        tell(error)
        sys.exit(CANNOT_LOAD if "gunicorn.arbiter" in sys.modules else 1)
    if app.config["TRACING_URL"]:
        # Its packages are only there where they are wanted.
        resolve_name("swiper.tracing:start")(app)
    with app.app_context():
        claim_site_at_start()
    return app


def create_app(settings: Settings | None = None) -> Flask:
    """Build the application from `settings`, by default those of the environment. Nothing connects to a server yet.

    Raises ConfigurationError if the settings of the environment are wrong, or name a provider that cannot be had.
    """
    settings = settings or load_settings()
    logs = logging_config(settings.log_dir, settings.log_level, settings.log_format, settings.log_max_mb)
    logging.config.dictConfig(logs)
    app = APIFlask(
        "swiper",
        title="Swiper",
        version=VERSION,
        spec_path="/openapi.json",
        docs_path=None,
        json_errors=False,
        static_folder=None,  # type: ignore[arg-type]
        instance_path=str(settings.instance),
    )
    app.config.from_mapping(settings.flask_config() | _extension_config(settings))
    app.extensions["settings"] = settings
    app.debug = settings.debug
    app.permanent_session_lifetime = timedelta(days=settings.session_days)
    app.url_map.converters["id"] = IdConverter
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.json.sort_keys = app.debug  # type: ignore[attr-defined]
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    _init_parts(app)
    return app


def _init_parts(app: APIFlask) -> None:
    extensions.db.init_app(app)
    engines.init_app(app)
    extensions.migrate.init_app(app, extensions.db, compare_type=True, render_as_batch=True)
    extensions.redis.init_app(app)
    extensions.cache.init_app(app)
    # Decorated views look at their limits themselves; the hooks that this spares would run around every other view.
    app.extensions["limiter"] = {extensions.limiter}
    extensions.limiter.init_app(app)
    for part in (sessions, responses, sms, storage, payments, hooks, openapi, cli, celery):
        part.init_app(app)
    metrics_buffer.init_app(app)
    metrics_receivers.init_app(app)
    for blueprint in (
        auth_blueprint,
        profiles_blueprint,
        social_blueprint,
        vip_blueprint,
        web_blueprint,
        admin_blueprint,
    ):
        app.register_blueprint(blueprint)
    guard_bodies(app)
    backfills.init_app(app, BACKFILLS)
    # Now, not when a worker begins: beat, commands and tests are to know the same tasks.
    app.extensions["celery"].autodiscover_tasks(_packages(), related_name="tasks", force=True)


def _packages() -> list[str]:
    """The packages of Swiper; each may have a `tasks.py`."""
    return [f"{__name__}.{part.name}" for part in pkgutil.iter_modules(__path__) if part.ispkg]


def _extension_config(settings: Settings) -> dict[str, Any]:
    """What the extensions read, derived from our own settings."""
    config = settings.flask_config()
    redis_options = _redis_options(settings)
    replicas = {
        f"{engines.REPLICA}{number}": {"url": url} | engines.engine_options(url, engines.for_replicas(config))
        for number, url in enumerate(settings.database_replica_urls)
    }
    return {
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": engines.engine_options(settings.database_url, config),
        "SQLALCHEMY_BINDS": replicas,
        "REDIS_OPTIONS": redis_options,
        "CACHE_TYPE": CACHE_CLASSES[settings.cache_type],
        "CACHE_KEY_PREFIX": f"{settings.key_prefix}{key_families.CACHE}:",
        "CACHE_DEFAULT_TIMEOUT": 300,
        # Of the backends that count their entries; with the usual 500 the file backend would be busy pruning.
        "CACHE_THRESHOLD": 10_000,
        "CACHE_DIR": str(settings.cache_dir),
        "CACHE_MEMCACHED_SERVERS": settings.cache_memcached_servers,
        "CACHE_NO_NULL_WARNING": True,
        "RATELIMIT_STORAGE_URI": f"{limit_storage.SCHEME}://",
        "RATELIMIT_STORAGE_OPTIONS": {
            # A hit whose answer was lost would be counted again; the caller is told 1011 instead.
            "client": extensions.make_client(settings.redis_url, redis_options | {"retry": Retry(NoBackoff(), 0)}),
            "key_prefix": f"{settings.key_prefix}LIMITS",
        },
        "RATELIMIT_KEY_PREFIX": "limit",
        "RATELIMIT_ENABLED": True,
        "OPENAPI_VERSION": "3.1.0",
        # Taken from a request, the address would be that of whoever asked first, under any Host they like.
        "AUTO_SERVERS": False,
        "BASE_RESPONSE_SCHEMA": EnvelopeOut,
        "BASE_RESPONSE_DATA_KEY": "data",
        "VALIDATION_ERROR_STATUS_CODE": 422,
        "DESCRIPTION": "Phone login, profiles, a deck, swipes, matches, VIP levels and flash sales.",
    }


def _redis_options(settings: Settings) -> dict[str, Any]:
    """Short time-outs and one reconnection: a Redis that is away is told to the caller within a second."""
    return {
        "socket_timeout": settings.redis_timeout_seconds,
        "socket_connect_timeout": settings.redis_timeout_seconds,
        "max_connections": settings.redis_max_connections,
        "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    }
