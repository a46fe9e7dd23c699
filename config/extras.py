"""The packages that only some settings need: each group of them has a list of its own in `config/requirements`."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from config.base import Fault

if TYPE_CHECKING:
    from config.settings import Settings

# The modules by which the packages of a group are found. The groups are called like the values of the settings.
MODULES = {
    "aliyun": ("alibabacloud_dysmsapi20170525",),
    "memcached": ("pylibmc", "pymemcache"),
    "qiniu": ("qiniu",),
    "ronglian": ("ronglian_sms_sdk", "requests"),
    "s3": ("boto3",),
    "tracing": ("opentelemetry",),
}


def missing_packages(settings: "Settings") -> Iterator[Fault]:
    """Return a fault for each setting whose packages are not installed, with the command that installs them."""
    for variable, group in _missing(settings):
        yield Fault(variable, f"{group} needs packages that are not installed: make install EXTRAS={group}")


def missing_groups(settings: "Settings") -> list[str]:
    """Return the groups of packages that the settings need and that are not installed."""
    return sorted({group for _, group in _missing(settings)})


def _missing(settings: "Settings") -> Iterator[tuple[str, str]]:
    """Return variables, each with a group that it needs and that is not installed."""
    for variable, group in _wanted(settings):
        if any(find_spec(module) is None for module in MODULES.get(group, ())):
            yield variable, group


def _wanted(settings: "Settings") -> Iterator[tuple[str, str]]:
    """Return variables, each with the group that its value may need."""
    for provider in settings.sms_providers:
        yield "SMS_PROVIDERS", provider
    if settings.tracing_url:
        yield "TRACING_URL", "tracing"
    yield "STORAGE", settings.storage
    yield "CACHE_TYPE", settings.cache_type
    yield "CELERY_RESULT_BACKEND", settings.celery_result_backend.partition("://")[0].removeprefix("cache+")
