"""kill -9 and cut connections while codes are sent and orders are paid."""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import psutil

from chaos.burst import PATIENCE_SECONDS
from chaos.cashier import Cashier, Shown, granted_months, place_order, states_of
from chaos.lab import POSTGRES, Lab
from chaos.members import Member
from chaos.report import Finding
from chaos.shop import Asked, Deliveries, Shop, new_numbers, shop_on
from swiper.tasks.celery import CODES_QUEUE
from tests.processes import Program

THREADS = 8
SENT_SECONDS = 60
TARGET = (
    f"every promised code is sent at least once, within {SENT_SECONDS} s; at most one code per number logs in, once"
)
# What each member orders, in two orders.
MONTHS = (1, 2)


@dataclass(frozen=True)
class Blow:
    """What is done to the shop while codes are asked for: `strike` does it, and returns the requests.

    `may_lose` allows that Redis forgets what it had not yet written.
    """

    experiment: str
    done: str
    strike: Callable[[Shop], list[Asked]]
    may_lose: bool = False


def nothing_is_lost_when_parts_are_killed(lab: Lab) -> Iterator[Finding]:
    """The worker, Redis, and the worker's connections to it; meanwhile a cashier tells of payments."""
    shop = shop_on(lab, POSTGRES)
    rounds = lab.count(2, 1)
    blows = (
        Blow(
            "kill -9 of the worker before the provider's answer",
            f"{rounds} × {2 * THREADS} codes, {THREADS} of them held by the provider, whole group killed",
            _kill_before_answer,
        ),
        Blow(
            "kill -9 of the worker after the provider's answer",
            f"{rounds} × {2 * THREADS} codes; {THREADS} answers on their way to the worker when it is killed",
            _kill_after_answer,
        ),
        Blow(
            "kill -9 of the worker in a sweep",
            f"{rounds} × {THREADS} codes, whose own tasks are lost; the worker is killed while its sweep sends them",
            _kill_sweep,
        ),
        Blow(
            "the worker's connections to the broker are cut",
            f"{rounds} × 24 codes, all connections of the worker cut three times meanwhile",
            _cut_connections,
        ),
        Blow(
            "kill -9 of Redis", f"{rounds} × 24 codes, Redis killed and started meanwhile", _kill_redis, may_lose=True
        ),
    )
    members = shop.site.add_members(lab.count(40, 8))
    orders = [place_order(shop.site, member, months) for member in members for months in MONTHS]
    cashier = Cashier(shop.site)
    asked: list[list[Asked]] = [[] for _ in blows]
    strikes = list(range(len(blows))) * rounds
    # A gunicorn instance is killed after each so many.
    interval = lab.count(1, 2)
    for turn, number in enumerate(strikes):
        struck = blows[number].strike(shop)
        asked[number] += struck
        cashier.pay(*orders[turn :: len(strikes)])
        if turn % interval == 0:
            _kill_instance(shop, turn // interval)
        if not lab.is_short:
            # Otherwise one code may be hit by several blows.
            shop.wait_until_sent(struck, SENT_SECONDS)
    for port in shop.site.ports:
        shop.site.wait_for_instance(port)
    for blow, codes in zip(blows, asked, strict=True):
        shop.wait_until_sent(codes, SENT_SECONDS)
        yield _judge_codes(shop, blow, codes)
    cashier.join()
    yield _judge_orders(shop, members, orders, cashier, len(strikes[::interval]))


def _kill_before_answer(shop: Shop) -> list[Asked]:
    asked = _ask_and_hold(shop)
    shop.site.kill_worker()
    for gateway in shop.gateways:
        gateway.let_go(are_sent=False)
    return asked


def _kill_after_answer(shop: Shop) -> list[Asked]:
    asked = _ask_and_hold(shop)
    worker = _ready_worker(shop)
    # Frozen, so that it dies with the answers in its hands.
    worker.send(signal.SIGSTOP)
    for gateway in shop.gateways:
        gateway.let_go(are_sent=True)
    shop.site.kill_worker()
    return asked


def _ask_and_hold(shop: Shop) -> list[Asked]:
    """Ask for codes, and return when each of the worker's threads waits for a provider."""
    _ready_worker(shop)
    phones = new_numbers(2 * THREADS)
    for gateway in shop.gateways:
        gateway.hold(phones)
    asked = shop.ask(phones)
    _wait_until_held(shop, THREADS)
    return asked


def _kill_sweep(shop: Shop) -> list[Asked]:
    worker, redis = _ready_worker(shop), shop.site.app.extensions["redis"]
    phones = new_numbers(THREADS)
    for gateway in shop.gateways:
        gateway.hold(phones)
    worker.send(signal.SIGSTOP)
    asked = shop.ask(phones)
    # But for one, which the broker has handed to the worker already.
    redis.delete(CODES_QUEUE)
    shop.site.app.extensions["celery"].tasks["auth.sweep_codes"].apply_async()
    worker.send(signal.SIGCONT)
    _wait_until_held(shop, 2)
    shop.site.kill_worker()
    for gateway in shop.gateways:
        gateway.let_go(are_sent=False)
    return asked


def _wait_until_held(shop: Shop, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sum(gateway.held for gateway in shop.gateways) < count:
        assert time.monotonic() < deadline, "the worker does not send"
        time.sleep(0.005)


def _ready_worker(shop: Shop) -> Program:
    worker = shop.site.worker
    assert worker is not None, "the shop has a worker"
    worker.wait_for_line("ready.")
    return worker


def _cut_connections(shop: Shop) -> list[Asked]:
    worker = _ready_worker(shop)
    asked: list[Asked] = []
    for _ in range(3):
        asked += shop.ask_for_codes(4)
        redis = shop.site.app.extensions["redis"]
        for connection in psutil.Process(worker.pid).net_connections("tcp"):
            if connection.raddr and connection.raddr.port == shop.site.redis.port:
                redis.client_kill_filter(addr=f"127.0.0.1:{connection.laddr.port}")
        asked += shop.ask_for_codes(4)
    return asked


def _kill_redis(shop: Shop) -> list[Asked]:
    asked = shop.ask_for_codes(12)
    shop.site.redis.kill()
    asked += shop.ask_for_codes(4)
    shop.site.redis.start()
    return asked + shop.ask_for_codes(8)


def _kill_instance(shop: Shop, number: int) -> None:
    """SIGKILL to a gunicorn instance with all its workers, and a new one at once."""
    for port in shop.site.ports:
        shop.site.wait_for_instance(port)
    port = shop.site.ports[number % len(shop.site.ports)]
    shop.site.instances[port].kill()
    shop.site.start_instance(port)


def _judge_codes(shop: Shop, blow: Blow, asked: Sequence[Asked]) -> Finding:
    result = Deliveries(shop, asked)
    # Redis writes its log to the disk each second; what it lost is as if it had never been asked for.
    is_void = {each.phone: not shop.holds_code(each.phone) for each in result.accepted}
    unsent = [phone for phone in result.unsent if not is_void[phone]]
    sent = [each.phone for each in result.accepted if each.phone not in result.unsent]
    codes = {phone: list(dict.fromkeys(text.code for text in result.found[phone])) for phone in sent}
    logins = Counter(sum(shop.log_in(phone, code).code == 0 for code in codes[phone]) for phone in sent)
    again = sum(shop.log_in(phone, codes[phone][0]).code == 0 for phone in sent)
    void = sum(is_void.values())
    return Finding(
        blow.experiment,
        f"{blow.done}; SMS time-out {shop.timeout_seconds} s",
        TARGET,
        f"{len(result.accepted)} promised, {len(unsent)} unsent, slowest sent after {result.slowest:.1f} s, "
        f"{result.repeated} sent more than once, {result.mixed} with differing codes; {logins[1]} of {len(sent)} log "
        f"in, {again} twice; {void} lost with Redis, which nobody can log in with",
        not unsent
        and result.slowest <= SENT_SECONDS
        and not result.mixed
        and not again
        and logins[1] + void >= len(sent) == logins[1] + logins[0]
        and (not void or blow.may_lose),
    )


def _judge_orders(shop: Shop, members: list[Member], orders: list[Shown], cashier: Cashier, kills: int) -> Finding:
    states = states_of(shop.site, orders)
    granted = Counter(granted_months(shop.site, member.id) for member in members)
    return Finding(
        "orders are paid meanwhile",
        f"{len(orders)} orders of {len(members)} members; worker, Redis and {kills} gunicorn instances killed; the "
        "cashier repeats its callback until it is answered with 200",
        "every paid order is granted exactly once",
        f"{len(cashier.settled)} settled by {cashier.tries} callbacks, {states['paid']} paid; {granted[sum(MONTHS)]} "
        f"of {len(members)} members have exactly the {sum(MONTHS)} months of their orders",
        len(cashier.settled) == states["paid"] == len(orders) and granted == {sum(MONTHS): len(members)},
    )
