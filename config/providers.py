"""Settings of the providers of SMS, storage and payments."""

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator
from pydantic_settings import BaseSettings

from config.base import CommaList, upper_case
from config.url_checks import HostAndPort, PageUrl, UploadHost

# The SMS providers that come with Swiper, by the short names that SMS_PROVIDERS takes.
SMS_PROVIDERS = {
    "aliyun": "swiper.sms.aliyun:AliyunProvider",
    "ronglian": "swiper.sms.ronglian:RonglianProvider",
    "console": "swiper.sms.console:ConsoleProvider",
}


class ProviderSettings(BaseSettings):
    """Which providers are used, and what they need."""

    sms_providers: CommaList = ["console"]
    sms_timeout_seconds: float = Field(4.0, gt=0, le=60)
    sms_price_yuan: float = Field(0.045, ge=0, le=1_000)
    aliyun_access_key_id: str = ""
    aliyun_access_key_secret: str = ""
    aliyun_sms_sign_name: str = ""
    aliyun_sms_template_code: str = ""
    aliyun_sms_international_sign_name: str = ""
    aliyun_sms_international_template_code: str = ""
    aliyun_sms_endpoint: HostAndPort = "dysmsapi.aliyuncs.com"
    aliyun_sms_protocol: Annotated[Literal["HTTPS", "HTTP"], BeforeValidator(upper_case)] = "HTTPS"
    ronglian_account_sid: str = ""
    ronglian_auth_token: str = ""
    ronglian_app_id: str = ""
    ronglian_template_id: str = ""
    ronglian_base_url: PageUrl = "https://app.cloopen.com:8883"

    storage: Literal["local", "qiniu", "s3"] = "local"
    storage_timeout_seconds: float = Field(20.0, gt=0, le=600)
    upload_max_bytes: int = Field(10 * 1024 * 1024, ge=1024, le=1_000_000_000)
    upload_max_pixels: int = Field(100_000_000, ge=1, le=1_000_000_000)
    upload_memory_bytes: int = Field(440_000_000, ge=1, le=100_000_000_000)
    uploads_at_once: int = Field(3, ge=1, le=100)
    qiniu_access_key: str = ""
    qiniu_secret_key: str = ""
    qiniu_bucket: str = ""
    qiniu_base_url: PageUrl = ""
    qiniu_upload_host: UploadHost = ""
    s3_endpoint_url: PageUrl = ""
    s3_region: str = "us-east-1"
    s3_bucket: str = ""
    s3_access_key_id: str = ""
    s3_secret_access_key: str = ""
    s3_base_url: PageUrl = ""

    payment_provider: Literal["sandbox", "cashier", "none"] = "sandbox"
    payment_secret: str = ""
    payment_checkout_url: PageUrl = ""

    @field_validator("sms_providers")
    @classmethod
    def check_sms_providers(cls, value: list[str]) -> list[str]:
        """Replace the path of a provider of Swiper by its short name. Refuse an unknown name and one named twice."""
        names = {path: name for name, path in SMS_PROVIDERS.items()}
        short = [names.get(provider, provider) for provider in value]
        for name in short:
            if name not in SMS_PROVIDERS and not re.fullmatch(r"[\w.]+:\w+", name):
                known = ", ".join(sorted(SMS_PROVIDERS))
                raise ValueError(f"must name {known}, or a class as package.module:Class; not {name!r}")
            if short.count(name) > 1:
                raise ValueError(f"names {name} twice")
        return short

    def required_by_providers(self) -> dict[str, str]:
        """Return the fields that the chosen SMS, storage and payment providers need, each with its provider."""
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
            "cashier": ["payment_secret", "payment_checkout_url"],
        }
        chosen = [*self.sms_providers, self.storage, self.payment_provider]
        return {field: name for name in chosen for field in needs.get(name, [])}
