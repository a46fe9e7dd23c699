"""What production needs before it starts."""

from collections.abc import Callable

import pytest
from pydantic import ValidationError

from config.settings import Settings

PRODUCTION = {
    "SWIPER_ENV": "production",
    "SECRET_KEY": "s" * 48,
    "SMS_PROVIDERS": "aliyun",
    "ALIYUN_ACCESS_KEY_ID": "id",
    "ALIYUN_ACCESS_KEY_SECRET": "secret",
    "ALIYUN_SMS_SIGN_NAME": "name",
    "ALIYUN_SMS_TEMPLATE_CODE": "SMS_1",
    "PAYMENT_PROVIDER": "none",
    "DATABASE_URL": "postgresql://swiper@db/swiper",
    "REDIS_URL": "redis://redis:6379/0",
    "TRUSTED_PROXIES": "1",
}


def test_production_starts_with_everything_in_place(load: Callable[..., Settings]) -> None:
    settings = load(**PRODUCTION)
    assert settings.flask_config()["SESSION_COOKIE_SECURE"]
    assert settings.robots_answer_percent == settings.robots_per_city == 0


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY"),
        ({"SECRET_KEY": "change-me-to-a-random-text-of-32-characters-or-more"}, "SECRET_KEY"),
        (dict.fromkeys(["SECRET_KEY_FALLBACKS"], "f" * 40 + ",short"), "SECRET_KEY_FALLBACKS"),
        (dict.fromkeys(["SECRET_KEY_FALLBACKS"], "change-me" * 5), "SECRET_KEY_FALLBACKS"),
        ({"DEBUG": "1"}, "DEBUG"),
        ({"SMS_PROVIDERS": "console"}, "console"),
        ({"SMS_PROVIDERS": "aliyun,console"}, "console"),
        ({"SMS_PROVIDERS": ""}, "SMS_PROVIDERS"),
        ({"ALIYUN_ACCESS_KEY_SECRET": ""}, "ALIYUN_ACCESS_KEY_SECRET"),
        ({"ALIYUN_SMS_INTERNATIONAL_SIGN_NAME": "x"}, "ALIYUN_SMS_INTERNATIONAL_TEMPLATE_CODE"),
        ({"ALIYUN_SMS_INTERNATIONAL_TEMPLATE_CODE": "x"}, "ALIYUN_SMS_INTERNATIONAL_SIGN_NAME"),
        ({"SMS_PROVIDERS": "aliyun,ronglian"}, "RONGLIAN_ACCOUNT_SID"),
        ({"STORAGE": "qiniu"}, "QINIU_BUCKET"),
        ({"STORAGE": "s3"}, "S3_BUCKET"),
        ({"PAYMENT_PROVIDER": "sandbox"}, "sandbox"),
        ({"PAYMENT_PROVIDER": "cashier", "PAYMENT_SECRET": "short"}, "PAYMENT_SECRET"),
        ({"PAYMENT_PROVIDER": "cashier", "PAYMENT_SECRET": "p" * 40}, "PAYMENT_CHECKOUT_URL"),
        ({"DATABASE_URL": ""}, "DATABASE_URL"),
        ({"REDIS_URL": ""}, "REDIS_URL"),
        ({"TRUSTED_PROXIES": ""}, "TRUSTED_PROXIES"),
    ],
)
def test_production_refuses(load: Callable[..., Settings], changes: dict[str, str], complaint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        load(**(PRODUCTION | changes))
    assert complaint in str(caught.value)


def test_production_takes_former_keys(load: Callable[..., Settings]) -> None:
    former = ["f" * 40, "g" * 32]
    given = ",".join(former)
    assert load(**(PRODUCTION | {"SECRET_KEY_FALLBACKS": given})).secret_key_fallbacks == former


def test_production_takes_no_proxy_where_it_is_said(load: Callable[..., Settings]) -> None:
    assert load(**(PRODUCTION | {"TRUSTED_PROXIES": "0"})).trusted_proxies == 0


def test_codes_are_asked_for_by_get_outside_production_or_where_it_is_said(load: Callable[..., Settings]) -> None:
    assert load().verify_by_get is True
    assert load(VERIFY_BY_GET="false").verify_by_get is False
    assert load(**PRODUCTION, VERIFY_BY_GET="").verify_by_get is False
    assert load(**PRODUCTION, VERIFY_BY_GET="true").verify_by_get is True


def test_refusal_names_all_faults_and_no_secret(load: Callable[..., Settings]) -> None:
    with pytest.raises(ValidationError) as caught:
        load(**(PRODUCTION | {"SECRET_KEY": "my-little-secret", "SMS_PROVIDERS": "console", "DEBUG": "1"}))
    text = str(caught.value)
    assert all(name in text for name in ("SECRET_KEY", "SMS_PROVIDERS", "DEBUG"))
    assert "my-little-secret" not in text
