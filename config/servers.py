"""Settings of the processes and of the servers that they use."""

import os
import re
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings

from config.base import ROOT, CommaList, Environment
from config.urls import normal_origin


class ProcessSettings(BaseSettings):
    """Where this process runs, what it listens on, and where it logs and counts."""

    # The field has its own name so that no other program's ENV variable is taken for ours.
    environment: Environment = Field(
        Environment.DEVELOPMENT, validation_alias=AliasChoices("SWIPER_ENV", "environment")
    )
    instance: Path = Field(ROOT / "instance", validation_alias=AliasChoices("SWIPER_INSTANCE", "instance"))
    debug: bool = False
    secret_key: str = ""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    web_concurrency: int = Field(default_factory=lambda: max(2, os.cpu_count() or 2), ge=1)
    trusted_proxies: int = Field(0, ge=0)
    cors_origins: CommaList = []
    verify_by_get: bool | None = None
    security_contact: str = ""
    security_canonical_url: str = ""

    log_level: str = "INFO"
    log_dir: Path | None = None
    log_format: Literal["line", "json"] = "line"
    log_max_mb: int = Field(100, ge=0)
    figures_flush_seconds: float = Field(5.0, ge=0)

    @field_validator("cors_origins")
    @classmethod
    def write_origins_as_browsers_do(cls, value: list[str]) -> list[str]:
        """Write each origin as browsers send it: `https://app.example` for `https://App.example:443/`."""
        return [normal_origin(origin.rstrip("/")) for origin in value]

    @field_validator("security_contact")
    @classmethod
    def check_security_contact(cls, value: str) -> str:
        """Return the contact with a scheme, as RFC 9116 wants it: a plain mail address gets one."""
        if re.fullmatch(r"[^\s@:/]+@[^\s@:/]+", value):
            return f"mailto:{value}"
        if value and not re.fullmatch(r"(?:mailto:|https://|tel:)\S+", value):
            raise ValueError("SECURITY_CONTACT is a mail address, or begins with mailto:, https:// or tel:")
        return value

    @field_validator("security_canonical_url")
    @classmethod
    def check_security_canonical_url(cls, value: str) -> str:
        """Accept https alone, as RFC 9116 wants it."""
        if value and not re.fullmatch(r"https://\S+", value):
            raise ValueError("SECURITY_CANONICAL_URL begins with https://")
        return value


class DatabaseSettings(BaseSettings):
    """The database, its replicas and its connections."""

    database_url: str = ""
    database_replica_urls: CommaList = []
    database_pool_size: int = Field(10, ge=1)
    database_max_overflow: int = Field(20, ge=0)
    database_pool_timeout_seconds: float = 1.0
    database_connect_timeout_seconds: int = Field(2, ge=1)
    database_statement_seconds: float = Field(1.5, gt=0)
    database_behind_pgbouncer: bool = False
    fast_paths: Literal["on", "off", "postgres", "redis"] = "on"
    database_layout: Literal["single", "distributed"] = "single"


class RedisSettings(BaseSettings):
    """Redis, Celery and the cache."""

    redis_url: str = ""
    redis_max_connections: int = Field(500, ge=1)
    redis_timeout_seconds: float = 0.3
    celery_broker_url: str = ""
    celery_result_backend: str = ""

    cache_type: str = "redis"
    cache_dir: Path | None = None
    cache_memcached_servers: CommaList = ["127.0.0.1:11211"]
    user_cache_seconds: int = 600
    levels_page_seconds: int = 900
    hot_page_seconds: int = 60
    local_refresh_seconds: float = 1.0

    @field_validator("cache_type")
    @classmethod
    def check_cache_type(cls, value: str) -> str:
        """Return the short name. Flask-Caching's class names are accepted as well."""
        name = value.lower().removesuffix("cache")
        short = {"filesystem": "file"}.get(name, name)
        if short not in ("null", "simple", "file", "redis", "memcached"):
            raise ValueError("CACHE_TYPE is one of null, simple, file, redis, memcached")
        return short
