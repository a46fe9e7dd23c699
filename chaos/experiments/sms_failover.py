"""The SMS providers fail, one of them and both."""

import time
from collections.abc import Callable, Iterator

from chaos.lab import POSTGRES, Lab
from chaos.providers import Gateway, Mode
from chaos.report import Finding
from chaos.shop import Asked, Deliveries, Shop, shop_on

SECOND_SECONDS, SENT_SECONDS, ANSWER_SECONDS = 10, 60, 0.9
TARGET = (
    f"no request waits for it: 19 of 20 answers within {ANSWER_SECONDS} s; the second sends within {SECOND_SECONDS} s, "
    "all tries with the same code"
)
TARGET_BOTH = f"each code is sent at least once within {SENT_SECONDS} s, all tries with the same code"

Fault = Callable[[Gateway], None]


def codes_are_sent_when_providers_fail(lab: Lab) -> Iterator[Finding]:
    """The provider that is asked first refuses, hangs, answers too late, dies; then both are away and come back."""
    shop = shop_on(lab, POSTGRES)
    count = lab.count(120, 100)
    faults: dict[str, Fault] = {
        "refuses": lambda gateway: gateway.change(Mode.REFUSE),
        "hangs": lambda gateway: gateway.change(Mode.HANG),
        "answers after the time-out": lambda gateway: gateway.change(Mode.LATE),
        "is dead": Gateway.die,
    }
    for words, fault in faults.items():
        yield _one_fails(shop, words, fault, count)
    yield _both_fail(shop, lab.count(30, 6), lab.count(20, 8))


def _one_fails(shop: Shop, words: str, fault: Fault, count: int) -> Finding:
    first = _asked_first(shop)
    before = _failures(shop, first)
    fault(first)
    asked = shop.ask_for_codes(count)
    shop.wait_until_sent(asked, SENT_SECONDS)
    result = Deliveries(shop, asked)
    first.change(Mode.OK)
    can_log_in = _log_in_some(shop, result, 5)
    tried = _failures(shop, first) - before
    return Finding(
        f"SMS provider {words}",
        f"{count} codes, {shop.timeout_seconds} s time-out, {first.name} is asked first and {words}",
        TARGET,
        f"19 of 20 answers within {result.answer_seconds:.2f} s; {len(result.accepted)} accepted, "
        f"{len(result.unsent)} unsent, slowest sent after {result.slowest:.1f} s; {tried} tried {first.name}; "
        f"{result.mixed} with differing codes; {can_log_in} of 5 log in",
        len(result.accepted) == count
        and not result.unsent
        and result.slowest <= SECOND_SECONDS
        and result.answer_seconds <= ANSWER_SECONDS
        and tried > 0
        and not result.mixed
        and can_log_in == 5,
    )


def _asked_first(shop: Shop) -> Gateway:
    """The gateway that the worker asks first at this moment: one that was away lately is asked last."""
    (probe,) = shop.ask_for_codes(1)
    shop.wait_until_sent([probe], SENT_SECONDS)
    (messages,) = shop.messages([probe]).values()
    return next(gateway for gateway in shop.gateways if gateway.name == messages[0].provider)


def _failures(shop: Shop, gateway: Gateway) -> int:
    """How often the worker has met a failure of `gateway`, by its log: one that is dead knows nothing of it."""
    assert shop.site.worker is not None, "the shop has a worker"
    return shop.site.worker.output.count(f"{gateway.name} did not send")


def _log_in_some(shop: Shop, result: Deliveries, count: int) -> int:
    """How many of `count` codes that were sent log in, once."""
    chosen = [(phone, texts[0].code) for phone, texts in result.found.items() if texts][-count:]
    answers = [[shop.log_in(phone, code).code for _ in range(2)] for phone, code in chosen]
    return answers.count([0, 1000])


def _both_fail(shop: Shop, away_seconds: int, count: int) -> Finding:
    """The first one hangs, the second is dead; requests come all the while."""
    shop.aliyun.change(Mode.HANG)
    shop.ronglian.die()
    asked: list[Asked] = []
    started = time.monotonic()
    for part in range(4):
        asked += shop.ask_for_codes(count // 4)
        time.sleep(max(0.0, started + (part + 1) * away_seconds / 4 - time.monotonic()))
    early = len(asked) - len(shop.unsent(asked))
    for gateway in shop.gateways:
        gateway.change(Mode.OK)
    shop.wait_until_sent(asked, SENT_SECONDS)
    result = Deliveries(shop, asked)
    offers = sum(len(texts) for texts in result.found.values())
    can_log_in = _log_in_some(shop, result, 5)
    return Finding(
        "both SMS providers are away",
        f"{count} codes while one hangs and one is dead, for {away_seconds} s",
        TARGET_BOTH,
        f"{len(result.accepted)} accepted, {early} sent meanwhile, {len(result.unsent)} unsent; slowest sent after "
        f"{result.slowest:.1f} s; {offers} offers seen, {result.mixed} with differing codes; {can_log_in} of 5 log in",
        len(result.accepted) == count
        and not early
        and not result.unsent
        and result.slowest <= SENT_SECONDS
        and not result.mixed
        and can_log_in == 5,
    )
