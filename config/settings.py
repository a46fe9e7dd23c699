"""All settings of Swiper, read once from the environment or `.env` and checked before anything starts.

`.env.example` lists them with units. Without any, the embedded database and Redis in the instance folder are used.
"""

import hashlib
import os
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Self

from pydantic import model_validator
from pydantic_settings import SettingsConfigDict

from config.base import ROOT, ConfigurationError, Environment, Fault, FaultySettingsError
from config.contradictions import find_contradictions
from config.providers import ProviderSettings
from config.redis_urls import RedisKind, kind_of
from config.rules import LoginSettings, ServiceSettings
from config.secret_key import kept_secret
from config.servers import DatabaseSettings, ProcessSettings, RedisSettings
from config.urls import for_celery, with_driver

__all__ = ["ROOT", "ConfigurationError", "Environment", "Settings"]

# Linux limits the path of a unix socket to 107 bytes (unix(7)). The longer name of gunicorn's socket needs the rest.
LONGEST_SOCKET_PATH = 96


class Settings(ProcessSettings, DatabaseSettings, RedisSettings, LoginSettings, ServiceSettings, ProviderSettings):
    """Each field is one environment variable of the same name in upper case."""

    # An empty variable counts as not set: `CACHE_DIR=` must not mean the current folder.
    model_config = SettingsConfigDict(
        env_file=ROOT / ".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    @model_validator(mode="after")
    def fill_and_check(self) -> Self:
        """Check what the settings are together, then set what follows from others or from the instance folder.

        Raises FaultySettingsError. `config/load.py` tells its faults in one line each.
        """
        faults = find_contradictions(self)
        try:
            self.instance = self.instance.expanduser().resolve()
        except RuntimeError:
            faults.append(Fault("SWIPER_INSTANCE", "begins with ~ and the name of nobody here"))
        if faults:
            raise FaultySettingsError(faults, self)
        if self.environment is Environment.PRODUCTION:
            self.robots_answer_percent = self.robots_per_city = 0
        if self.verify_by_get is None:
            self.verify_by_get = self.environment is not Environment.PRODUCTION
        self.secret_key = self.secret_key or self._kept_secret()
        self.database_url = with_driver(self.database_url or f"sqlite:///{self.instance / 'swiper.db'}")
        self.database_replica_urls = [with_driver(url) for url in self.database_replica_urls]
        self.redis_url = self.redis_url or f"unix://{self.redis_socket}"
        self.celery_broker_url = self.celery_broker_url or for_celery(self.redis_url)
        if not self.celery_result_backend:
            is_cluster = kind_of(self.redis_url) is RedisKind.CLUSTER
            self.celery_result_backend = "disabled://" if is_cluster else for_celery(self.redis_url)
        self.cache_dir = self.cache_dir or self.instance / "cache"
        self.deletion_list_dir = self.deletion_list_dir or self.instance / "deletions"
        self.log_dir = self.log_dir or self.instance / "logs"
        return self

    def _kept_secret(self) -> str:
        try:
            return kept_secret(self.instance)
        except OSError as error:
            reason = f"cannot keep a secret key in the folder {self.instance}: {error.strerror}"
            if self.instance.is_file():
                reason = f"{self.instance} is a file, not a folder"
            raise FaultySettingsError([Fault("SWIPER_INSTANCE", reason)], self) from error

    @property
    def redis_socket(self) -> Path:
        """Return the socket of the embedded Redis. If the path of the instance folder is too long, it is elsewhere."""
        socket = self.instance / "redis.sock"
        if len(os.fsencode(socket)) <= LONGEST_SOCKET_PATH:
            return socket
        digest = hashlib.sha256(str(self.instance).encode()).hexdigest()[:16]
        return Path(gettempdir()) / f"swiper-{os.getuid()}-{digest}" / "redis.sock"

    @property
    def is_embedded_redis(self) -> bool:
        """Return True if no Redis is set, so that the embedded one is used."""
        return self.redis_url == f"unix://{self.redis_socket}"

    @property
    def key_prefix(self) -> str:
        """Return what each key of this site in Redis begins with: nothing without a name, as in earlier releases."""
        return f"{self.site_name}:" if self.site_name else ""

    @property
    def restore_mark(self) -> Path:
        """Return the file that is there while a backup is restored, and after a restore that did not end."""
        return self.instance / ".restoring"

    @property
    def media_dir(self) -> Path:
        """Return the folder of uploads. With another storage than `local`, they are here until they are pushed."""
        return self.instance / "media"

    def flask_config(self) -> dict[str, Any]:
        """Return the values under the names that Flask and its extensions read."""
        own = {name.upper(): getattr(self, name) for name in type(self).model_fields}
        production = self.environment is Environment.PRODUCTION
        return own | {
            "ENVIRONMENT": self.environment.value,
            "TESTING": self.environment is Environment.TESTING,
            "MEDIA_DIR": self.media_dir,
            "KEY_PREFIX": self.key_prefix,
            "MAX_CONTENT_LENGTH": self.upload_max_bytes + 64 * 1024,
            # This limit also counts the 64 KB of a file that Werkzeug buffers. With 64 KB, some photos were refused.
            "MAX_FORM_MEMORY_SIZE": 128 * 1024,
            "MAX_FORM_PARTS": 64,
            # The prefix makes a browser accept the cookie from this host only, over TLS, for all paths.
            "SESSION_COOKIE_NAME": f"{'__Host-' if production else ''}swiper_session",
            "SESSION_COOKIE_HTTPONLY": True,
            "SESSION_COOKIE_SAMESITE": "Lax",
            "SESSION_COOKIE_SECURE": production,
            "PERMANENT_SESSION_LIFETIME": self.session_days * 86_400,
            # Otherwise a slow request that ends after a logout would store the ended session again.
            "SESSION_REFRESH_EACH_REQUEST": False,
        }
