"""The settings of a measured site: production's defaults, and what production refuses to start without."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chaos.providers import Gateway
from chaos.shop import NEEDED_BY_PROVIDERS
from config.settings import Environment, Settings
from tests.processes import environment_of

WORKERS = 2


def production_settings(folder: Path, database_url: str, redis_url: str, gateways: Sequence[Gateway]) -> Settings:
    """Set is only what production refuses to start without, and fewer log lines of ours.

    `folder` gets the instance folder; `gateways` are Aliyun's and Ronglian's. Nobody uses the codes that are asked for
    here, so the brake and the proof of work are off.
    """
    aliyun, ronglian = gateways
    credentials: dict[str, Any] = dict.fromkeys(NEEDED_BY_PROVIDERS, "pretended")
    return Settings(
        _env_file=None,
        environment=Environment.PRODUCTION,
        instance=folder / "instance",
        secret_key=secrets.token_urlsafe(48),
        database_url=database_url,
        redis_url=redis_url,
        celery_broker_url="",
        celery_result_backend="",
        web_concurrency=WORKERS,
        trusted_proxies=1,
        payment_provider="none",
        sms_providers=[aliyun.name, ronglian.name],
        aliyun_sms_endpoint=aliyun.address,
        aliyun_sms_protocol="HTTP",
        ronglian_base_url=f"http://{ronglian.address}",
        sms_brake_percent=0,
        proof_of_work_percent=100,
        # Robots with a badge have one for decades, and the callers' levels come on top of that.
        membership_years_ahead=100,
        log_level="WARNING",
        **credentials,
    )


def production_environment(settings: Settings) -> dict[str, str]:
    """The environment of each process of a site with these settings."""
    ours = {
        name.upper(): getattr(settings, name)
        for name in (
            *("web_concurrency", "trusted_proxies", "payment_provider", "aliyun_sms_endpoint"),
            *("aliyun_sms_protocol", "ronglian_base_url", "sms_brake_percent", "proof_of_work_percent"),
            *NEEDED_BY_PROVIDERS,
        )
    }
    # What the tests change is left at its default.
    defaults = dict.fromkeys(("LOCAL_REFRESH_SECONDS", "ROBOTS_ANSWER_PERCENT"), "")
    own = {"SWIPER_ENV": "production", "SMS_PROVIDERS": ",".join(settings.sms_providers), "NO_PROXY": "*"}
    return environment_of(settings, **ours, **defaults, **own)
