"""Settings of the providers of SMS, storage and payments."""

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from config.base import CommaList

# The SMS providers that come with Swiper, by the short names that SMS_PROVIDERS takes.
SMS_PROVIDERS = {
    "aliyun": "swiper.sms.aliyun:AliyunProvider",
    "ronglian": "swiper.sms.ronglian:RonglianProvider",
    "console": "swiper.sms.console:ConsoleProvider",
}


class ProviderSettings(BaseSettings):
    """Which providers are used, and what they need."""

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

    payment_provider: str = "sandbox"
    payment_secret: str = ""
    payment_checkout_url: str = ""

    @field_validator("sms_providers")
    @classmethod
    def write_own_providers_short(cls, value: list[str]) -> list[str]:
        """Replace the path of a provider of Swiper by its short name, so that the same rules apply to both."""
        names = {path: name for name, path in SMS_PROVIDERS.items()}
        return [names.get(provider, provider) for provider in value]

    def required_by_providers(self) -> list[str]:
        """Return the names of the fields that the chosen SMS, storage and payment providers need."""
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
