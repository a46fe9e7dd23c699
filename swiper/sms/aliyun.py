"""Alibaba Cloud's SMS service, by its official SDK."""

import json
import logging
from functools import cached_property

from alibabacloud_dysmsapi20170525.client import Client
from alibabacloud_dysmsapi20170525.models import SendSmsRequest
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.exceptions import RetryError, UnretryableException
from darabonba.runtime import RuntimeOptions

from swiper.sms.base import MAINLAND_MOBILE, SmsAwayError, SmsError, SmsProvider

# urllib3 logs the address of each request at DEBUG and of a malformed answer at WARNING; the SDK logs it when the
# environment has DEBUG=sdk. The address of SendSms carries the number and the code.
LOGGERS_OF_ADDRESSES = ("urllib3.connectionpool", "darabonba-core")


class AliyunProvider(SmsProvider):
    """Sends by `SendSms` with a template of one variable, `code`. Other countries have their own sign and template."""

    name = "aliyun"

    @cached_property
    def client(self) -> Client:
        """The SDK's client. The first message builds it, so that a start needs neither time nor credentials."""
        for logger in LOGGERS_OF_ADDRESSES:
            logging.getLogger(logger).addFilter(is_without_code)
        return Client(
            Config(
                access_key_id=self.config["ALIYUN_ACCESS_KEY_ID"],
                access_key_secret=self.config["ALIYUN_ACCESS_KEY_SECRET"],
                endpoint=self.config["ALIYUN_SMS_ENDPOINT"],
                protocol=self.config["ALIYUN_SMS_PROTOCOL"],
            )
        )

    def wire_number(self, phone: str) -> str | None:
        """Return 11 digits for a mainland mobile number, and 00 with country code for others if they have a template.

        The form with 00 is from Aliyun's examples of `SendSms` ("0085200000000"). Its newer documentation omits the 00,
        which makes +1 301 765 6088 a mainland number, 130 1765 6088.
        """
        mainland = MAINLAND_MOBILE.fullmatch(phone)
        if mainland:
            return mainland[1]
        return "00" + phone.removeprefix("+") if all(self._texts(is_mainland=False)) else None

    def try_send(self, number: str, code: str) -> None:
        """Send one request, never repeated, since that could send a second SMS. Raises SmsError with Aliyun's code."""
        try:
            response = self.client.send_sms_with_options(self._request(number, code), self._runtime())
        except AlibabaCloudException as error:
            raise SmsError(error.code) from None
        except UnretryableException as error:
            # The SDK wraps every failure of the connection, time-outs included, in a RetryError.
            kind = SmsAwayError if isinstance(error.inner_exception, RetryError) else SmsError
            raise kind(type(error.inner_exception).__name__) from None
        if response.body.code != "OK":
            raise SmsError(response.body.code)

    def _request(self, number: str, code: str) -> SendSmsRequest:
        sign_name, template_code = self._texts(is_mainland=not number.startswith("00"))
        return SendSmsRequest(
            phone_numbers=number,
            sign_name=sign_name,
            template_code=template_code,
            template_param=json.dumps({"code": code}),
        )

    def _texts(self, *, is_mainland: bool) -> tuple[str, str]:
        kind = "ALIYUN_SMS" if is_mainland else "ALIYUN_SMS_INTERNATIONAL"
        return self.config[f"{kind}_SIGN_NAME"], self.config[f"{kind}_TEMPLATE_CODE"]

    def _runtime(self) -> RuntimeOptions:
        milliseconds = max(1, int(self.timeout_seconds * 1000))
        return RuntimeOptions(autoretry=False, connect_timeout=milliseconds, read_timeout=milliseconds)


def is_without_code(record: logging.LogRecord) -> bool:
    """Return False, so that logging drops the record, if its text contains the parameters of SendSms."""
    return "TemplateParam" not in record.getMessage()
