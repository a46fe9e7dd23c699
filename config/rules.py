"""Settings of the rules of the service: limits and times."""

from zoneinfo import ZoneInfo

from phonenumbers import SUPPORTED_REGIONS
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from config.base import CommaList

# The largest number of anything that is counted.
MOST = 10_000_000


class LoginSettings(BaseSettings):
    """Sessions, login codes, and limits of the messages that carry codes."""

    session_days: int = Field(30, ge=1, le=3650)
    sessions_per_user: int = Field(20, ge=1, le=1000)
    desk_session_hours: float = Field(12.0, gt=0, le=24 * 30)

    code_ttl_seconds: int = Field(600, ge=60, le=86_400)
    code_resend_seconds: int = Field(60, ge=1, le=86_400)
    code_max_guesses: int = Field(5, ge=1, le=100)
    code_challenges: int = Field(4, ge=1, le=20)
    sms_countries: CommaList = []
    sms_per_number_per_hour: int = Field(5, ge=1, le=MOST)
    sms_per_number_per_day: int = Field(10, ge=1, le=MOST)
    sms_per_own_device_per_day: int = Field(3, ge=0, le=MOST)
    sms_per_ip_per_day: int = Field(200, ge=1, le=MOST)
    sms_per_net24_per_day: int = Field(2_000, ge=0, le=MOST)
    sms_per_net56_per_day: int = Field(400, ge=0, le=MOST)
    sms_per_net48_per_day: int = Field(1_000, ge=0, le=MOST)
    sms_per_country_per_day: int = Field(2_000, ge=0, le=MOST)
    sms_global_per_day: int = Field(50_000, ge=1, le=MOST)
    sms_reserve_percent: int = Field(20, ge=0, le=90)
    sms_brake_codes: int = Field(200, ge=1, le=MOST)
    sms_brake_percent: int = Field(20, ge=0, le=100)
    sms_brake_per_minute: int = Field(30, ge=1, le=MOST)
    proof_of_work_percent: int = Field(50, ge=0, le=100)
    proof_of_work_tries: int = Field(300_000, ge=1, le=100_000_000)
    login_per_ip_per_minute: int = Field(600, ge=1, le=MOST)

    @field_validator("sms_countries")
    @classmethod
    def check_countries(cls, value: list[str]) -> list[str]:
        """Refuse a country that the phone library does not know: its numbers would never get a code."""
        regions = [region.upper() for region in value]
        unknown = sorted(set(regions) - SUPPORTED_REGIONS)
        if unknown:
            raise ValueError(f"names no country of ISO 3166: {', '.join(unknown)}")
        return regions


class ServiceSettings(BaseSettings):
    """The zone of calendar days, and limits of profiles, swipes, orders and exports."""

    timezone: str = "Asia/Shanghai"
    default_region: str = "CN"
    reserved_nicknames: CommaList = []
    uploads_per_user_per_hour: int = Field(60, ge=1, le=MOST)
    export_seconds: int = Field(3_600, ge=1, le=2_592_000)

    likes_per_day: int = Field(50, ge=0, le=MOST)
    superlikes_per_day: int = Field(5, ge=0, le=MOST)
    rewinds_per_day: int = Field(3, ge=0, le=MOST)
    rewind_window_seconds: int = Field(300, ge=1, le=86_400)
    deleted_number_days: int = Field(30, ge=1, le=3650)
    deletion_list_days: int = Field(90, ge=1, le=3650)
    city_changes: int = Field(2, ge=1, le=1_000)
    city_change_days: int = Field(30, ge=1, le=3650)
    sex_corrections: int = Field(1, ge=0, le=1_000)
    birthday_corrections: int = Field(1, ge=0, le=1_000)
    robots_answer_percent: int = Field(40, ge=0, le=100)
    robots_per_city: int = Field(100, ge=0, le=500)

    order_ttl_seconds: int = Field(900, ge=1, le=864_000)
    order_grace_seconds: int = Field(43_200, ge=0, le=864_000)
    pending_orders_per_user: int = Field(5, ge=1, le=1_000)
    released_order_days: int = Field(30, ge=11, le=3650)
    sale_unpaid_holds: int = Field(2, ge=1, le=1_000)
    membership_years_ahead: int = Field(10, ge=3, le=100)

    @field_validator("timezone")
    @classmethod
    def check_timezone(cls, value: str) -> str:
        """Refuse an unknown zone at the start, not when it is first used."""
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"there is no time zone {value!r}; write it as Asia/Shanghai") from None
        return value

    @field_validator("default_region")
    @classmethod
    def check_region(cls, value: str) -> str:
        """Refuse a country that the phone library does not know."""
        if value.upper() not in SUPPORTED_REGIONS:
            raise ValueError(f"must be a country of ISO 3166 such as CN, not {value!r}")
        return value.upper()
