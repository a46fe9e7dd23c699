"""A site that sends its codes by two fake gateways and is paid by a fake cashier."""

import itertools
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from chaos.burst import Answer, RequestSpec
from chaos.cashier import PAYMENT_SECRET
from chaos.lab import Lab
from chaos.providers import AliyunGateway, Gateway, Message, RonglianGateway
from chaos.site import Site
from swiper.auth.challenges import keys_of
from swiper.extensions import redis

NEEDED_BY_PROVIDERS = (
    *("aliyun_access_key_id", "aliyun_access_key_secret", "aliyun_sms_sign_name", "aliyun_sms_template_code"),
    *("ronglian_account_sid", "ronglian_auth_token", "ronglian_app_id", "ronglian_template_id"),
)
# Codes asked for at the same moment; each is two connections through nginx.
TOGETHER = 8
# Every number is asked for once in a run, since the next code for it must wait for a minute.
_numbers = itertools.count(13_900_000_000)


def new_numbers(count: int) -> list[str]:
    """Numbers that nothing has been sent to."""
    return [f"+86{number}" for number in itertools.islice(_numbers, count)]


@dataclass(frozen=True)
class Asked:
    """A request for a code: when it was made by the wall clock, and what was answered."""

    phone: str
    at: float
    answer: Answer

    @property
    def is_accepted(self) -> bool:
        """True where the service has promised to send a code."""
        return self.answer.code == 0


class Shop:
    """A context manager, as the site within it."""

    def __init__(self, lab: Lab, database: str) -> None:
        # Shorter in the short form, so that less is spent on waiting for time-outs.
        self.timeout_seconds = lab.count(4, 1)
        late = self.timeout_seconds + 1.0
        self.aliyun, self.ronglian = AliyunGateway(late), RonglianGateway(late)
        self.gateways: tuple[Gateway, ...] = (self.aliyun, self.ronglian)
        self.site: Site = lab.new_site(
            database,
            sms_providers=[gateway.name for gateway in self.gateways],
            sms_timeout_seconds=self.timeout_seconds,
            aliyun_sms_endpoint=self.aliyun.address,
            aliyun_sms_protocol="HTTP",
            ronglian_base_url=f"http://{self.ronglian.address}",
            **dict.fromkeys(NEEDED_BY_PROVIDERS, "fake"),
            payment_provider="cashier",
            payment_secret=PAYMENT_SECRET,
            payment_checkout_url="http://127.0.0.1/cashier",
        )
        self.stack = ExitStack()

    def __enter__(self) -> Self:
        for gateway in self.gateways:
            self.stack.enter_context(gateway)
        self.stack.enter_context(self.site)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.__exit__(kind, error, trace)

    def ask_for_codes(self, count: int) -> list[Asked]:
        """Ask for codes for so many new numbers."""
        return self.ask(new_numbers(count))

    def ask(self, phones: Sequence[str]) -> list[Asked]:
        """Ask for codes for `phones`, so many `TOGETHER`."""
        asked: list[Asked] = []
        for start in range(0, len(phones), TOGETHER):
            group, at = phones[start : start + TOGETHER], time.time()
            answers = self.site.fire(*[RequestSpec("POST", "/api/user/verify", {"phonenum": phone}) for phone in group])
            asked += [Asked(phone, at, answer) for phone, answer in zip(group, answers, strict=True)]
        return asked

    def messages(self, asked: Sequence[Asked]) -> dict[str, list[Message]]:
        """By number: what has reached a gateway, sent or not, the first first."""
        found: dict[str, list[Message]] = {each.phone: [] for each in asked}
        for message in sorted([*self.aliyun.messages, *self.ronglian.messages], key=lambda message: message.at):
            if message.phone in found:
                found[message.phone].append(message)
        return found

    def unsent(self, asked: Sequence[Asked]) -> list[str]:
        """Numbers whose code was promised and has not been sent."""
        found = self.messages(asked)
        return [
            each.phone for each in asked if each.is_accepted and not any(text.is_sent for text in found[each.phone])
        ]

    def wait_until_sent(self, asked: Sequence[Asked], seconds: float) -> None:
        """Return when every promised code is sent, or after `seconds`."""
        deadline = time.monotonic() + seconds
        while self.unsent(asked) and time.monotonic() < deadline:
            time.sleep(0.05)

    def holds_code(self, phone: str) -> bool:
        """True while Redis knows a code of this number."""
        with self.site.app.app_context():
            return bool(redis.client.exists(keys_of(phone)[0]))

    def log_in(self, phone: str, code: str) -> Answer:
        """Try a code."""
        return self.site.ask(RequestSpec("POST", "/api/user/login", {"phonenum": phone, "vcode": code}))


def shop_on(lab: Lab, database: str) -> Shop:
    """The shop that the experiments about codes and payments share."""
    return lab.shared(f"shop on {database}", lambda: Shop(lab, database))


class Deliveries:
    """What became of requests for codes: seconds until each was sent, doubles, differing codes."""

    def __init__(self, shop: Shop, asked: Sequence[Asked]) -> None:
        self.asked = asked
        self.found = shop.messages(asked)
        self.accepted = [each for each in asked if each.is_accepted]
        # Of 19 in 20, since a machine that does much else may hold up any.
        self.answer_seconds = sorted(each.answer.seconds for each in asked)[len(asked) * 19 // 20 - 1]
        sent = {phone: [text for text in texts if text.is_sent] for phone, texts in self.found.items()}
        self.unsent = [each.phone for each in self.accepted if not sent[each.phone]]
        self.seconds = [sent[each.phone][0].at - each.at for each in self.accepted if sent[each.phone]]
        self.repeated = sum(len(texts) > 1 for texts in sent.values())
        self.mixed = sum(len({text.code for text in texts}) > 1 for texts in self.found.values())

    @property
    def slowest(self) -> float:
        """Seconds from the request for a code to its sending, of the slowest."""
        return max(self.seconds, default=0.0)
