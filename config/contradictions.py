"""What is wrong with settings that are valid one by one: pairs that contradict, what is missing, production's rules."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from config.base import Environment, Fault
from config.database_hosts import may_take_standby
from config.extras import missing_packages
from config.redis_urls import RedisKind, kind_of
from config.urls import with_driver

if TYPE_CHECKING:
    from config.settings import Settings

PLACEHOLDER = "change-me"
OWN = "production needs 32 characters or more of your own"
IN_MEMORY = ("sqlite://", "sqlite:///", "sqlite:///:memory:")


def find_contradictions(settings: "Settings") -> list[Fault]:
    """Return all of them. The defaults that depend on other settings are not filled in yet."""
    found = [*_of_processes(settings), *_of_databases(settings), *_of_queues(settings), *_of_providers(settings)]
    found += missing_packages(settings)
    if settings.several_machines:
        found += _of_several_machines(settings)
    if settings.environment is Environment.PRODUCTION:
        found += _of_production(settings)
    return found


def _of_processes(settings: "Settings") -> Iterator[Fault]:
    if settings.secret_key and not settings.secret_key.strip():
        yield Fault("SECRET_KEY", "is blank")
    if settings.cache_type == "simple" and settings.web_concurrency > 1:
        yield Fault(
            "CACHE_TYPE",
            f"simple is for one process, and WEB_CONCURRENCY is {settings.web_concurrency}: "
            "set it to 1, or choose redis, memcached or file",
            ("WEB_CONCURRENCY",),
        )
    if settings.metrics_bind.endswith(f":{settings.port}"):
        yield Fault("METRICS_BIND", f"has the port of the web server ({settings.port}); metrics are private", ("PORT",))
    if settings.code_resend_seconds > settings.code_ttl_seconds:
        yield Fault(
            "CODE_RESEND_SECONDS",
            f"must not be longer than a code is valid (CODE_TTL_SECONDS={settings.code_ttl_seconds})",
            ("CODE_TTL_SECONDS",),
        )


def _of_databases(settings: "Settings") -> Iterator[Fault]:
    kind = _kind_of(settings.database_url)
    if settings.database_url in IN_MEMORY and settings.environment is not Environment.TESTING:
        yield Fault("DATABASE_URL", "a database in memory is a database of its own in each process; name a file")
    if kind == "postgresql" and may_take_standby(settings.database_url):
        text = "names several hosts, so it must end in target_session_attrs=read-write: one of them may be a standby"
        yield Fault("DATABASE_URL", text)
    if any(_kind_of(url) != kind for url in settings.database_replica_urls):
        yield Fault(
            "DATABASE_REPLICA_URLS", f"a replica must be of the same kind as DATABASE_URL ({kind})", ("DATABASE_URL",)
        )
    if settings.database_layout == "distributed" and kind != "postgresql":
        yield Fault(
            "DATABASE_LAYOUT", f"distributed is for PostgreSQL alone, and DATABASE_URL is {kind}", ("DATABASE_URL",)
        )
    if settings.database_behind_pgbouncer and kind != "postgresql":
        yield Fault(
            "DATABASE_BEHIND_PGBOUNCER", f"is for PostgreSQL alone, and DATABASE_URL is {kind}", ("DATABASE_URL",)
        )


def _of_queues(settings: "Settings") -> Iterator[Fault]:
    broker = settings.celery_broker_url
    if not broker and kind_of(settings.redis_url) is RedisKind.CLUSTER:
        yield Fault(
            "CELERY_BROKER_URL",
            "is not set, and Celery cannot use the Redis Cluster of REDIS_URL: "
            "name RabbitMQ (amqp://…), Sentinels or one Redis",
            ("REDIS_URL",),
        )
    if settings.celery_queue_type == "quorum" and not broker.startswith(("amqp://", "amqps://", "pyamqp://")):
        yield Fault(
            "CELERY_QUEUE_TYPE",
            "quorum is for RabbitMQ alone, and CELERY_BROKER_URL does not begin with amqp:// or amqps://",
            ("CELERY_BROKER_URL",),
        )


def _kind_of(url: str) -> str:
    """Return the dialect of a URL. Without a URL, the embedded database is used."""
    return with_driver(url or "sqlite://").partition("://")[0].partition("+")[0]


def _of_providers(settings: "Settings") -> Iterator[Fault]:
    for field, provider in settings.required_by_providers().items():
        if not getattr(settings, field).strip():
            yield Fault(
                field.upper(), f"is not set, and {provider} needs it", ("SMS_PROVIDERS", "STORAGE", "PAYMENT_PROVIDER")
            )
    sign, template = "ALIYUN_SMS_INTERNATIONAL_SIGN_NAME", "ALIYUN_SMS_INTERNATIONAL_TEMPLATE_CODE"
    if bool(settings.aliyun_sms_international_sign_name) != bool(settings.aliyun_sms_international_template_code):
        yield Fault(sign, f"and {template} go together: set both, or none", (template,))


def _of_several_machines(settings: "Settings") -> Iterator[Fault]:
    """Return a fault for each setting that keeps on one machine what the others need."""
    needs = "and SEVERAL_MACHINES is set"
    faults = {
        Fault("STORAGE", f"local keeps pictures on one machine, {needs}: choose s3 or qiniu"): (
            settings.storage == "local"
        ),
        Fault("CACHE_TYPE", f"{settings.cache_type} is for one machine, {needs}: choose redis or memcached"): (
            settings.cache_type in ("file", "simple")
        ),
        Fault("CELERY_BROKER_URL", f"memory:// is for one process, {needs}"): (
            settings.celery_broker_url.startswith("memory:")
        ),
        Fault("CELERY_RESULT_BACKEND", f"file:// is for one machine, {needs}"): (
            settings.celery_result_backend.startswith("file:")
        ),
        Fault("DATABASE_URL", f"is a file of one machine, {needs}"): settings.database_url.startswith("sqlite"),
    }
    # In production they are told as missing in any case.
    if settings.environment is not Environment.PRODUCTION:
        faults |= {
            Fault(
                "SECRET_KEY", f"is not set, {needs}: each machine would make one of its own"
            ): not settings.secret_key,
            Fault("DATABASE_URL", f"is not set, {needs}"): not settings.database_url,
            Fault("REDIS_URL", f"is not set, {needs}"): not settings.redis_url,
        }
    yield from (fault._replace(others=("SEVERAL_MACHINES",)) for fault, is_wrong in faults.items() if is_wrong)


def _of_production(settings: "Settings") -> Iterator[Fault]:
    is_secret_weak = settings.payment_provider == "cashier" and _is_weak(settings.payment_secret)
    faults = {
        Fault("SECRET_KEY", OWN): _is_weak(settings.secret_key),
        Fault("SECRET_KEY_FALLBACKS", OWN): any(map(_is_weak, settings.secret_key_fallbacks)),
        Fault("DEBUG", "must be off in production"): settings.debug,
        Fault("SMS_PROVIDERS", "is empty; production sends its codes by a provider"): not settings.sms_providers,
        Fault("SMS_PROVIDERS", "names the console provider, which is for development"): (
            "console" in settings.sms_providers
        ),
        Fault("PAYMENT_PROVIDER", "is the sandbox, which is for development; set cashier or none"): (
            settings.payment_provider == "sandbox"
        ),
        # One that is missing is told in any environment.
        Fault("PAYMENT_SECRET", OWN, ("PAYMENT_PROVIDER",)): is_secret_weak and bool(settings.payment_secret.strip()),
        Fault("DATABASE_URL", "is not set; production does not use the embedded one"): not settings.database_url,
        Fault("REDIS_URL", "is not set; production does not use the embedded one"): not settings.redis_url,
        Fault("TRUSTED_PROXIES", "is not set (1 behind one nginx; 0 where clients reach gunicorn directly)"): (
            "trusted_proxies" not in settings.model_fields_set
        ),
    }
    yield from (fault for fault, is_wrong in faults.items() if is_wrong)


def _is_weak(secret: str) -> bool:
    return len(secret) < 32 or PLACEHOLDER in secret
