"""Settings of the processes and of the servers that they use."""

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, BeforeValidator, Field, field_validator
from pydantic_settings import BaseSettings

from config.base import ROOT, CommaList, Environment, upper_case
from config.key_families import KEY_FAMILIES
from config.url_checks import (
    BackendUrl,
    BrokerUrl,
    DatabaseUrl,
    DatabaseUrls,
    Host,
    HostsAndPorts,
    Origins,
    PageUrl,
    RedisUrl,
)


class ProcessSettings(BaseSettings):
    """Where this process runs, what it listens on, and where it logs and counts."""

    # The field has its own name so that no other program's ENV variable is taken for ours.
    environment: Environment = Field(
        Environment.DEVELOPMENT, validation_alias=AliasChoices("SWIPER_ENV", "environment")
    )
    instance: Path = Field(ROOT / "instance", validation_alias=AliasChoices("SWIPER_INSTANCE", "instance"))
    debug: bool = False
    several_machines: bool = False
    deletion_list_dir: Path | None = None
    secret_key: str = ""
    secret_key_fallbacks: CommaList = []

    host: Host = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    web_concurrency: int = Field(default_factory=lambda: max(2, os.cpu_count() or 2), ge=1, le=512)
    trusted_proxies: int = Field(0, ge=0, le=10)
    cors_origins: Origins = []
    verify_by_get: bool | None = None
    security_contact: str = ""
    security_canonical_url: str = ""

    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(upper_case)] = "INFO"
    log_dir: Path | None = None
    log_format: Literal["line", "json"] = "line"
    log_max_mb: int = Field(100, ge=0, le=1_000_000)
    sql_comments: bool = False
    figures_flush_seconds: float = Field(5.0, ge=0, le=3600)
    metrics_bind: str = "127.0.0.1:9180"
    tracing_url: PageUrl = ""
    tracing_percent: float = Field(1.0, ge=0, le=100)

    @field_validator("security_contact")
    @classmethod
    def check_security_contact(cls, value: str) -> str:
        """Return the contact with a scheme, as RFC 9116 wants it: a plain mail address gets one."""
        if re.fullmatch(r"[^\s@:/]+@[^\s@:/]+", value):
            return f"mailto:{value}"
        if value and not re.fullmatch(r"(?:mailto:|https://|tel:)\S+", value):
            raise ValueError("must be a mail address, or begin with mailto:, https:// or tel:")
        return value

    @field_validator("security_canonical_url")
    @classmethod
    def check_security_canonical_url(cls, value: str) -> str:
        """Accept https alone, as RFC 9116 wants it."""
        if value and not re.fullmatch(r"https://\S+", value):
            raise ValueError("must begin with https://")
        return value

    @field_validator("metrics_bind")
    @classmethod
    def check_metrics_bind(cls, value: str) -> str:
        """Refuse an address that gunicorn would read in another way than the operator meant."""
        host_and_port = re.fullmatch(r"(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+):([0-9]{1,5})", value)
        is_address = host_and_port is not None and 1 <= int(host_and_port[1]) <= 65535
        if not is_address and not re.fullmatch(r"unix:/\S+", value):
            raise ValueError("must be host:port, [IPv6]:port or unix:/path")
        return value


class DatabaseSettings(BaseSettings):
    """The database, its replicas and its connections."""

    database_url: DatabaseUrl = ""
    database_replica_urls: DatabaseUrls = []
    database_replica_lag_seconds: float = Field(5.0, gt=0, le=3600)
    database_pool_size: int = Field(10, ge=1, le=1_000)
    database_max_overflow: int = Field(20, ge=0, le=1_000)
    database_pool_timeout_seconds: float = Field(1.0, gt=0, le=60)
    database_connect_timeout_seconds: int = Field(2, ge=1, le=60)
    database_statement_seconds: float = Field(1.5, gt=0, le=600)
    database_behind_pgbouncer: bool = False
    fast_paths: Literal["on", "off", "postgres", "redis"] = "on"
    database_layout: Literal["single", "distributed"] = "single"


class RedisSettings(BaseSettings):
    """Redis, Celery and the cache."""

    site_name: str = ""
    redis_url: RedisUrl = ""
    redis_max_connections: int = Field(500, ge=1, le=100_000)
    redis_timeout_seconds: float = Field(0.3, gt=0, le=60)
    celery_broker_url: BrokerUrl = ""
    celery_result_backend: BackendUrl = ""
    celery_queue_type: Literal["classic", "quorum"] = "classic"

    cache_type: str = "redis"
    cache_dir: Path | None = None
    cache_memcached_servers: HostsAndPorts = ["127.0.0.1:11211"]
    # Flask-Caching never drops a value that is stored for 0 seconds.
    user_cache_seconds: int = Field(600, ge=1, le=86_400)
    levels_page_seconds: int = Field(900, ge=1, le=86_400)
    hot_page_seconds: int = Field(60, ge=1, le=86_400)
    local_refresh_seconds: float = Field(1.0, ge=0, le=60)

    @field_validator("site_name")
    @classmethod
    def check_site_name(cls, value: str) -> str:
        """Refuse braces, which would decide on the slot of all keys, the marks of patterns, and our own words."""
        if not re.fullmatch(r"(?:[a-z0-9][a-z0-9-]{0,31})?", value):
            raise ValueError("must be a word of lower-case letters, digits and hyphens, 32 at most")
        if value in KEY_FAMILIES:
            raise ValueError(f"must be another word: keys of a site without a name begin with {value}:")
        return value

    @field_validator("cache_type")
    @classmethod
    def check_cache_type(cls, value: str) -> str:
        """Return the short name. Flask-Caching's class names are accepted as well."""
        name = value.lower().removesuffix("cache")
        short = {"filesystem": "file"}.get(name, name)
        if short not in ("null", "simple", "file", "redis", "memcached"):
            raise ValueError(f"must be one of null, simple, file, redis, memcached, not {value!r}")
        return short
