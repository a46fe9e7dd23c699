"""Every setting of Swiper, read once from the environment or `.env` and checked before anything starts.

`.env.example` lists them all with units. With none set, the embedded defaults under the instance folder serve.
"""

import hashlib
import os
import re
import secrets
from enum import StrEnum
from pathlib import Path
from tempfile import gettempdir
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from phonenumbers import SUPPORTED_REGIONS
from pydantic import AliasChoices, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent
PLACEHOLDER = "change-me"
# Linux limits the path of a unix socket to 107 bytes (unix(7)); the rest is for the longer name of gunicorn's socket.
LONGEST_SOCKET_PATH = 96

# The SMS providers that come with Swiper, by the short names that SMS_PROVIDERS takes.
SMS_PROVIDERS = {
    "aliyun": "swiper.sms.aliyun:AliyunProvider",
    "ronglian": "swiper.sms.ronglian:RonglianProvider",
    "console": "swiper.sms.console:ConsoleProvider",
}

CommaList = Annotated[list[str], NoDecode]


class ConfigurationError(ValueError):
    """A setting with which Swiper cannot start; its text is one line for whoever starts it."""


class Environment(StrEnum):
    """Where this process runs; production is strict about secrets and providers."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"
    TESTING = "testing"


class Settings(BaseSettings):
    """One field is one environment variable of the same name in upper case."""

    # An empty variable counts as not set: `CACHE_DIR=` must not mean the current folder.
    model_config = SettingsConfigDict(
        env_file=ROOT / ".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore"
    )

    # The field has its own name so that no other program's ENV variable is taken for ours.
    environment: Environment = Field(
        Environment.DEVELOPMENT, validation_alias=AliasChoices("SWIPER_ENV", "environment")
    )
    instance: Path = Field(ROOT / "instance", validation_alias=AliasChoices("SWIPER_INSTANCE", "instance"))
    debug: bool = False
    secret_key: str = ""

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

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    web_concurrency: int = Field(default_factory=lambda: max(2, os.cpu_count() or 2), ge=1)
    trusted_proxies: int = Field(0, ge=0)
    cors_origins: CommaList = []
    verify_by_get: bool | None = None
    security_contact: str = ""
    security_canonical_url: str = ""

    timezone: str = "Asia/Shanghai"
    default_region: str = "CN"
    reserved_nicknames: CommaList = []
    session_days: int = Field(30, ge=1)
    sessions_per_user: int = Field(20, ge=1, le=1000)

    code_ttl_seconds: int = Field(600, ge=60)
    code_resend_seconds: int = Field(60, ge=1)
    code_max_guesses: int = Field(5, ge=1)
    code_challenges: int = Field(4, ge=1, le=20)
    sms_countries: CommaList = []
    sms_per_number_per_hour: int = 5
    sms_per_number_per_day: int = 10
    sms_per_own_device_per_day: int = Field(3, ge=0)
    sms_per_ip_per_day: int = 200
    sms_per_net24_per_day: int = Field(2_000, ge=0)
    sms_per_net56_per_day: int = Field(400, ge=0)
    sms_per_net48_per_day: int = Field(1_000, ge=0)
    sms_per_country_per_day: int = Field(2_000, ge=0)
    sms_global_per_day: int = 50_000
    sms_reserve_percent: int = Field(20, ge=0, le=90)
    sms_brake_codes: int = Field(200, ge=1)
    sms_brake_percent: int = Field(20, ge=0, le=100)
    sms_brake_per_minute: int = Field(30, ge=1)
    proof_of_work_percent: int = Field(50, ge=0, le=100)
    proof_of_work_tries: int = Field(300_000, ge=1, le=100_000_000)
    login_per_ip_per_minute: int = 600
    uploads_per_user_per_hour: int = 60
    export_seconds: int = Field(3_600, ge=1)

    sms_providers: CommaList = ["console"]
    sms_timeout_seconds: float = 4.0
    sms_price_yuan: float = Field(0.045, ge=0)
    aliyun_access_key_id: str = ""
    aliyun_access_key_secret: str = ""
    aliyun_sms_sign_name: str = ""
    aliyun_sms_template_code: str = ""
    aliyun_sms_international_sign_name: str = ""
    aliyun_sms_international_template_code: str = ""
    aliyun_sms_endpoint: str = "dysmsapi.aliyuncs.com"
    aliyun_sms_protocol: str = "HTTPS"
    ronglian_account_sid: str = ""
    ronglian_auth_token: str = ""
    ronglian_app_id: str = ""
    ronglian_template_id: str = ""
    ronglian_base_url: str = "https://app.cloopen.com:8883"

    storage: str = "local"
    storage_timeout_seconds: float = 20.0
    upload_max_bytes: int = 10 * 1024 * 1024
    upload_max_pixels: int = Field(100_000_000, ge=1)
    upload_memory_bytes: int = Field(440_000_000, ge=1)
    uploads_at_once: int = Field(3, ge=1)
    qiniu_access_key: str = ""
    qiniu_secret_key: str = ""
    qiniu_bucket: str = ""
    qiniu_base_url: str = ""
    qiniu_upload_host: str = ""
    s3_endpoint_url: str = ""
    s3_region: str = "us-east-1"
    s3_bucket: str = ""
    s3_access_key_id: str = ""
    s3_secret_access_key: str = ""
    s3_base_url: str = ""

    likes_per_day: int = 50
    superlikes_per_day: int = 5
    rewinds_per_day: int = 3
    rewind_window_seconds: int = 300
    deleted_number_days: int = Field(30, ge=1, le=3650)
    city_changes: int = Field(2, ge=1)
    city_change_days: int = Field(30, ge=1, le=3650)
    sex_corrections: int = Field(1, ge=0)
    birthday_corrections: int = Field(1, ge=0)
    robots_answer_percent: int = Field(40, ge=0, le=100)

    payment_provider: str = "sandbox"
    payment_secret: str = ""
    payment_checkout_url: str = ""
    order_ttl_seconds: int = Field(900, ge=1)
    order_grace_seconds: int = Field(43_200, ge=0, le=864_000)
    pending_orders_per_user: int = Field(5, ge=1)
    released_order_days: int = Field(30, ge=11)
    sale_unpaid_holds: int = Field(2, ge=1)
    membership_years_ahead: int = Field(10, ge=3, le=100)

    desk_session_hours: float = Field(12.0, gt=0, le=24 * 30)
    figures_flush_seconds: float = Field(5.0, ge=0)

    log_level: str = "INFO"
    log_dir: Path | None = None

    @field_validator(
        "database_replica_urls",
        "cache_memcached_servers",
        "cors_origins",
        "sms_countries",
        "sms_providers",
        "reserved_nicknames",
        mode="before",
    )
    @classmethod
    def split_commas(cls, value: Any) -> Any:
        """Lists are written `a,b` in the environment."""
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def write_origins_as_browsers_do(cls, value: list[str]) -> list[str]:
        """`https://App.example:443/` is sent as `https://app.example`."""
        return [normal_origin(origin.rstrip("/")) for origin in value]

    @field_validator("security_contact")
    @classmethod
    def check_security_contact(cls, value: str) -> str:
        """RFC 9116 wants an address with a scheme; a plain mail address gets one."""
        if re.fullmatch(r"[^\s@:/]+@[^\s@:/]+", value):
            return f"mailto:{value}"
        if value and not re.fullmatch(r"(?:mailto:|https://|tel:)\S+", value):
            raise ValueError("SECURITY_CONTACT is a mail address, or begins with mailto:, https:// or tel:")
        return value

    @field_validator("security_canonical_url")
    @classmethod
    def check_security_canonical_url(cls, value: str) -> str:
        """The address that the file names as its own."""
        if value and not re.fullmatch(r"https://\S+", value):
            raise ValueError("SECURITY_CANONICAL_URL begins with https://")
        return value

    @field_validator("timezone")
    @classmethod
    def check_timezone(cls, value: str) -> str:
        """A wrong zone name stops the start, not the first quota at midnight."""
        ZoneInfo(value)
        return value

    @field_validator("sms_countries")
    @classmethod
    def check_countries(cls, value: list[str]) -> list[str]:
        """A country that the phone library does not know would never be sent to."""
        regions = [region.upper() for region in value]
        unknown = sorted(set(regions) - SUPPORTED_REGIONS)
        if unknown:
            raise ValueError(f"SMS_COUNTRIES names no country: {', '.join(unknown)}")
        return regions

    @field_validator("sms_providers")
    @classmethod
    def write_own_providers_short(cls, value: list[str]) -> list[str]:
        """Written as a path, a provider of Swiper's is held to the same rules."""
        names = {path: name for name, path in SMS_PROVIDERS.items()}
        return [names.get(provider, provider) for provider in value]

    @field_validator("cache_type")
    @classmethod
    def check_cache_type(cls, value: str) -> str:
        """Short names and Flask-Caching's class names are both understood."""
        name = value.lower().removesuffix("cache")
        short = {"filesystem": "file"}.get(name, name)
        if short not in ("null", "simple", "file", "redis", "memcached"):
            raise ValueError("CACHE_TYPE is one of null, simple, file, redis, memcached")
        return short

    @model_validator(mode="after")
    def fill_and_check(self) -> Self:
        """Derive the embedded defaults, then hold production to its rules."""
        self.instance = self.instance.expanduser().resolve()
        if self.environment is Environment.PRODUCTION:
            self._check_production()
            self.robots_answer_percent = 0
        if self.verify_by_get is None:
            self.verify_by_get = self.environment is not Environment.PRODUCTION
        self.secret_key = self.secret_key or _kept_secret(self.instance)
        self.database_url = with_driver(self.database_url or f"sqlite:///{self.instance / 'swiper.db'}")
        self.database_replica_urls = [with_driver(url) for url in self.database_replica_urls]
        self.redis_url = self.redis_url or f"unix://{self.redis_socket}"
        self.celery_broker_url = self.celery_broker_url or _for_celery(self.redis_url)
        self.celery_result_backend = self.celery_result_backend or _for_celery(self.redis_url)
        self.cache_dir = self.cache_dir or self.instance / "cache"
        self.log_dir = self.log_dir or self.instance / "logs"
        return self

    def _check_production(self) -> None:
        faults = [
            fault
            for is_wrong, fault in (
                (
                    len(self.secret_key) < 32 or PLACEHOLDER in self.secret_key,
                    "SECRET_KEY needs 32 characters or more of your own",
                ),
                (self.debug, "DEBUG must be off"),
                (not self.sms_providers, "SMS_PROVIDERS is empty"),
                ("console" in self.sms_providers, "SMS_PROVIDERS names the console provider"),
                (self.payment_provider == "sandbox", "PAYMENT_PROVIDER is the sandbox"),
                (
                    self.payment_provider != "none"
                    and (len(self.payment_secret) < 32 or PLACEHOLDER in self.payment_secret),
                    "PAYMENT_SECRET needs 32 characters or more of your own",
                ),
                (
                    bool(self.aliyun_sms_international_sign_name) != bool(self.aliyun_sms_international_template_code),
                    "ALIYUN_SMS_INTERNATIONAL_SIGN_NAME and ALIYUN_SMS_INTERNATIONAL_TEMPLATE_CODE go together",
                ),
                (not self.database_url, "DATABASE_URL is not set"),
                (not self.redis_url, "REDIS_URL is not set"),
                (
                    "trusted_proxies" not in self.model_fields_set,
                    "TRUSTED_PROXIES is not set (1 behind one nginx; 0 where clients reach gunicorn directly)",
                ),
            )
            if is_wrong
        ]
        faults += [f"{name.upper()} is not set" for name in self.required_by_providers() if not getattr(self, name)]
        if faults:
            raise ValueError("production refuses to start: " + "; ".join(faults))

    def required_by_providers(self) -> list[str]:
        """Names of the fields that the chosen SMS, storage and payment providers cannot work without."""
        needs = {
            "aliyun": [
                "aliyun_access_key_id",
                "aliyun_access_key_secret",
                "aliyun_sms_sign_name",
                "aliyun_sms_template_code",
            ],
            "ronglian": [
                "ronglian_account_sid",
                "ronglian_auth_token",
                "ronglian_app_id",
                "ronglian_template_id",
            ],
            "qiniu": ["qiniu_access_key", "qiniu_secret_key", "qiniu_bucket", "qiniu_base_url"],
            "s3": ["s3_bucket", "s3_access_key_id", "s3_secret_access_key", "s3_base_url"],
            "cashier": ["payment_checkout_url"],
        }
        chosen = [*self.sms_providers, self.storage, self.payment_provider]
        return [field for name in chosen for field in needs.get(name, [])]

    @property
    def redis_socket(self) -> Path:
        """The embedded Redis listens here; a folder with a long path gets a short stand-in."""
        socket = self.instance / "redis.sock"
        if len(os.fsencode(socket)) <= LONGEST_SOCKET_PATH:
            return socket
        digest = hashlib.sha256(str(self.instance).encode()).hexdigest()[:16]
        return Path(gettempdir()) / f"swiper-{os.getuid()}-{digest}" / "redis.sock"

    @property
    def is_embedded_redis(self) -> bool:
        """True when nobody named a Redis and the one in the instance folder serves."""
        return self.redis_url == f"unix://{self.redis_socket}"

    @property
    def media_dir(self) -> Path:
        """Uploads lie here until, and with local storage after, they are pushed."""
        return self.instance / "media"

    def flask_config(self) -> dict[str, Any]:
        """The same values under the names that Flask and its extensions read."""
        own = {name.upper(): getattr(self, name) for name in type(self).model_fields}
        production = self.environment is Environment.PRODUCTION
        return own | {
            "ENVIRONMENT": self.environment.value,
            "TESTING": self.environment is Environment.TESTING,
            "MEDIA_DIR": self.media_dir,
            "MAX_CONTENT_LENGTH": self.upload_max_bytes + 64 * 1024,
            # Counts what Werkzeug holds back of a file as well: with its buffer's 64 KB, photos were refused by chance.
            "MAX_FORM_MEMORY_SIZE": 128 * 1024,
            "MAX_FORM_PARTS": 64,
            # With the prefix a browser takes the cookie from this host alone, over TLS, for all paths.
            "SESSION_COOKIE_NAME": f"{'__Host-' if production else ''}swiper_session",
            "SESSION_COOKIE_HTTPONLY": True,
            "SESSION_COOKIE_SAMESITE": "Lax",
            "SESSION_COOKIE_SECURE": production,
            "PERMANENT_SESSION_LIFETIME": self.session_days * 86_400,
            # Otherwise a slow request that ends after logout writes the dead session back.
            "SESSION_REFRESH_EACH_REQUEST": False,
        }


def _kept_secret(instance: Path) -> str:
    """A random key made on the first start and kept in the instance folder, readable by its owner alone."""
    path = instance / "secret-key"
    instance.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = instance / f"secret-key.{os.getpid()}.{secrets.token_hex(4)}"
    if not path.exists():
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(48))
        try:
            # A link fails where another process was faster, so all processes read one key.
            os.link(fresh, path)
        except FileExistsError:
            return path.read_text()
        finally:
            fresh.unlink()
    return path.read_text()


def with_driver(url: str) -> str:
    """Name the drivers that yield under gevent: psycopg 3 and PyMySQL."""
    scheme, mark, rest = url.partition("://")
    drivers = {
        "postgres": "postgresql+psycopg",
        "postgresql": "postgresql+psycopg",
        "mysql": "mysql+pymysql",
        # Tables carry their options for SQLAlchemy's dialect `mysql`, which recognises a MariaDB server by itself.
        "mariadb": "mysql+pymysql",
        "mariadb+pymysql": "mysql+pymysql",
    }
    url = drivers.get(scheme, scheme) + mark + rest
    if "+pymysql" in url and "charset=" not in url:
        url += ("&" if "?" in url else "?") + "charset=utf8mb4"
    return url


DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def normal_origin(origin: str) -> str:
    """An origin as browsers write it: lower case, no default port; and no dot after the host."""
    scheme, mark, host = origin.lower().partition("://")
    return scheme + mark + host.removesuffix(DEFAULT_PORTS.get(scheme, "")).removesuffix(".")


def _for_celery(redis_url: str) -> str:
    """Celery spells a unix socket `redis+socket:///path?virtual_host=0`."""
    if redis_url.startswith("unix://"):
        return f"redis+socket://{redis_url.removeprefix('unix://')}?virtual_host=0"
    return redis_url
