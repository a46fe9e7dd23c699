"""Requests for codes, and guesses, by the hundred: the budgets of a number, of an address, and of everybody."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from sqlalchemy import func, select

from chaos.burst import Answer, RequestSpec
from chaos.experiments.quotas import CODES_AN_ADDRESS, CODES_IN_ALL, limited_site, logins_an_address
from chaos.lab import POSTGRES, Lab
from chaos.phones import CODE_WRONG, LIMITED, end_resend_locks, end_soon, enter_code, new_phones, request_code, total
from chaos.report import Finding
from chaos.site import Site
from swiper.auth.models import SmsOutbox

MINUTE, HOUR, DAY = 60, 3600, 86_400
AN_HOUR, A_DAY = 5, 10
TOGETHER = 100
# What clients write into headers to look like somebody else.
FORGED = ("X-Forwarded-For", "X-Real-Ip", "Forwarded")
# What is left of a window when nobody wants to wait for a day.
REST_SECONDS = 1.0


@dataclass
class Budgets:
    """One site, every accepted request on which is counted here as well, and what was found to be wrong."""

    site: Site
    accepted: int = 0
    faults: list[str] = field(default_factory=list)

    def ask(self, phones: Sequence[str], sources: Sequence[str]) -> list[Answer]:
        """Ask for codes at the same moment, from the addresses in turn, by both methods and with forged headers."""
        specs = [
            _forged(request_code(phone, sources[number % len(sources)]), number) for number, phone in enumerate(phones)
        ]
        answers = self.site.fire(*specs, at_once=TOGETHER)
        self.accepted += sum(answer.code == 0 for answer in answers)
        return answers

    def judge(
        self, what: str, answers: Sequence[Answer], wanted: int, window: int, since: float, admitted: int = 0
    ) -> str:
        """Note what is wrong about a burst of which `wanted` should be admitted; how many were is told in words.

        The refused must be told to come back at the end of the window of so many seconds that began after `since`.
        """
        done = sum(answer.code == admitted for answer in answers)
        limited = [answer for answer in answers if answer.code == LIMITED]
        others = len(answers) - done - len(limited)
        if done != wanted or others:
            self.faults.append(f"{what}: {done} admitted instead of {wanted}, {others} answered something else")
        waits = [int(answer.headers.get("retry-after", 0)) for answer in limited]
        if waits and not window - (time.monotonic() - since) <= min(waits) <= max(waits) <= window:
            self.faults.append(f"{what}: Retry-After {min(waits)} to {max(waits)} for a window of {window} s")
        return f"{done} of {len(answers):,}"

    def check_counters(self) -> None:
        """The refused have cost nothing: every counter, and the outbox, hold the accepted requests alone."""
        counters = {pattern: total(self.site, pattern) for pattern in ("{p:*}:day", "sms:ip:*", "sms:all")}
        with self.site.looking() as session:
            counters["sms_outbox"] = session.scalar(select(func.count()).select_from(SmsOutbox))
        wrong = {name: count for name, count in counters.items() if count != self.accepted}
        if wrong:
            self.faults.append(f"{self.accepted} accepted in all, but counted are {wrong}")

    def come_back(self, what: str, pattern: str, spec: RequestSpec, admitted: int = 0) -> int:
        """Let all but the rest of a used-up window pass; who waits as told must be admitted. Seconds are returned."""
        end_soon(self.site, pattern, int(REST_SECONDS * 1000))
        refused = self.site.ask(spec)
        seconds = int(refused.headers.get("retry-after", 0))
        time.sleep(seconds)
        code = self.site.ask(spec).code
        if (refused.code, code) != (LIMITED, admitted) or not 1 <= seconds <= REST_SECONDS + 1:
            self.faults.append(f"{what}: {refused.code}, told to wait {seconds} s, then {code}")
        return seconds

    def finding(self, name: str, done: str, target: str, measured: str) -> Finding:
        """A finding with the faults since the last one."""
        for fault in self.faults:
            print(f"     {name}: {fault}")
        count, self.faults = len(self.faults), []
        return Finding(name, done, target, f"{measured}; {count} differences", not count)


def _forged(spec: RequestSpec, number: int) -> RequestSpec:
    """The same request, by GET if the number is odd, with headers that claim another address."""
    headers = dict.fromkeys(FORGED, f"10.{number % 250}.{number // 250}.1")
    if number % 2 and spec.path.endswith("/verify"):
        path = f"{spec.path}?phonenum={quote(spec.body['phonenum'])}"
        return RequestSpec("GET", path, headers=headers, source=spec.source)
    return RequestSpec(spec.method, spec.path, spec.body, headers=headers, source=spec.source)


def budgets_hold(lab: Lab) -> Iterator[Finding]:
    """One after the other on one site, each with addresses of its own, through nginx and two instances."""
    budgets = Budgets(limited_site(lab, POSTGRES))
    phone, address = new_phones(1)[0], "127.0.2.1"
    yield _one_number(budgets, phone)
    yield _one_address(budgets, address, lab.count(1_000, CODES_AN_ADDRESS + 100))
    yield _everybody(budgets)
    yield _logins(budgets, logins_an_address(lab))
    yield _come_back(budgets, phone, address)


def _one_number(budgets: Budgets, phone: str) -> Finding:
    """Keys that are removed stand for the time between two codes."""
    sources, start = [f"127.0.1.{number}" for number in range(1, 11)], time.monotonic()
    parallel = budgets.judge("a minute", budgets.ask([phone] * TOGETHER, sources), 1, MINUTE, start)
    for number in range(2, A_DAY + 1):
        end_resend_locks(budgets.site)
        if number == AN_HOUR + 1:
            budgets.judge("an hour", budgets.ask([phone] * 10, sources), 0, HOUR, start)
            end_soon(budgets.site, "{p:*}:hour", 0)
        since = time.monotonic()
        budgets.judge(f"code {number}", budgets.ask([phone] * 10, sources), 1, MINUTE, since)
    end_resend_locks(budgets.site)
    end_soon(budgets.site, "{p:*}:hour", 0)
    budgets.judge("a day", budgets.ask([phone] * 10, sources), 0, DAY, start)
    budgets.check_counters()
    return budgets.finding(
        "parallel requests for a code for one number",
        f"{TOGETHER} at the same moment from {len(sources)} addresses; then 10 at once each time a minute is over",
        f"1 sent; {AN_HOUR} an hour, {A_DAY} a day; Retry-After right",
        f"{parallel} sent; {budgets.accepted} in a day",
    )


def _one_address(budgets: Budgets, address: str, count: int) -> Finding:
    phones, start = new_phones(count), time.monotonic()
    answers = budgets.ask(phones, [address])
    sent = budgets.judge("an address", answers, CODES_AN_ADDRESS, DAY, start)
    refused = [phone for phone, answer in zip(phones, answers, strict=True) if answer.code == LIMITED][:10]
    again = budgets.judge("elsewhere", budgets.ask(refused, ["127.0.2.2"]), len(refused), MINUTE, start)
    budgets.check_counters()
    return budgets.finding(
        "requests over many numbers from one address",
        f"{count:,} numbers, {TOGETHER} requests at the same moment, each with forged headers of another address; "
        "then refused numbers from elsewhere",
        f"{CODES_AN_ADDRESS} sent; the refused cost nothing; Retry-After right",
        f"{sent} sent; elsewhere {again} sent",
    )


def _everybody(budgets: Budgets) -> Finding:
    before = budgets.accepted
    phones, since = new_phones(CODES_IN_ALL - before + 100), time.monotonic()
    sources = [f"127.1.{number // 250}.{number % 250 + 1}" for number in range(len(phones))]
    # The window began with the very first request.
    budgets.judge("everybody", budgets.ask(phones, sources), CODES_IN_ALL - before, DAY, since - HOUR)
    budgets.check_counters()
    return budgets.finding(
        "a global daily budget",
        f"{before} codes sent before; then {len(phones)} numbers from as many addresses",
        f"{CODES_IN_ALL} sent in all; the refused cost nothing; Retry-After right",
        f"{budgets.accepted} sent in all",
    )


def _logins(budgets: Budgets, limit: int) -> Finding:
    address, phone, start = "127.0.3.1", new_phones(1)[0], time.monotonic()
    specs = [_forged(enter_code(phone, f"{number:06d}", address), number) for number in range(limit + 100)]
    answers = budgets.site.fire(*specs, at_once=TOGETHER)
    # The library that counts these tells the second after the end.
    guessed = budgets.judge("guesses", answers, limit, MINUTE + 1, start - 1, admitted=CODE_WRONG)
    elsewhere = budgets.site.ask(enter_code(phone, "000000", "127.0.3.2")).code
    if elsewhere != CODE_WRONG:
        budgets.faults.append(f"a guess from elsewhere answered {elsewhere}")
    return budgets.finding(
        "guesses from one address",
        f"{len(specs)} guesses, {TOGETHER} at the same moment, each with forged headers of another address",
        f"{limit} looked at; Retry-After right; another address may guess",
        f"{guessed} looked at",
    )


def _come_back(budgets: Budgets, phone: str, address: str) -> Finding:
    """From the budget of everybody down to one number, since a wider one that is used up hides a narrower one."""
    end_resend_locks(budgets.site)
    end_soon(budgets.site, "{p:*}:hour", 0)
    first, second, third = new_phones(3)
    waits = [
        budgets.come_back("everybody", "sms:all", request_code(first, "127.0.4.1")),
        budgets.come_back("an address", "sms:ip:*", request_code(second, address)),
        budgets.come_back("a number in a day", "{p:*}:day", request_code(phone, "127.0.4.1")),
        budgets.come_back("a number in a minute", "{p:*}:lock", request_code(phone, "127.0.4.1")),
        budgets.come_back("guesses", "login:ip:*", enter_code(third, "000000", "127.0.3.1"), admitted=CODE_WRONG),
    ]
    return budgets.finding(
        "whoever waits as Retry-After says",
        f"each of {len(waits)} used-up windows is shortened to {REST_SECONDS} s",
        "refused before, admitted after",
        f"told to wait {', '.join(map(str, waits))} s",
    )
