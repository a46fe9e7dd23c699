"""Hundreds of guesses at one code, and hundreds of logins with it, at the same moment."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select

from chaos.burst import Answer, RequestSpec
from chaos.lab import DATABASES, POSTGRES, Lab
from chaos.phones import (
    CODE_WRONG,
    SENDING_SECONDS,
    UNAVAILABLE,
    ask_codes,
    end_resend_locks,
    enter_code,
    new_phones,
    request_code,
    wrong_codes,
)
from chaos.report import Finding
from chaos.site import Site
from deploy.processes import wait_until
from swiper.auth.challenges import live_codes
from swiper.auth.models import Phone, SmsOutbox
from swiper.auth.sessions import key_of, list_key
from swiper.profiles.models import User

PARALLEL = 200
GUESSES = 5
# As many as one number may have in an hour.
CODES = 5


@dataclass
class Tally:
    """What was counted over the rounds of an experiment, and what should not have been."""

    logins: int = 0
    unavailable: int = 0
    counted: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def expect(self, what: str, found: Any, wanted: Any) -> None:
        """Note a difference."""
        if found != wanted:
            self.faults.append(f"{what}: {found} instead of {wanted}")

    def logins_in(self, answers: Sequence[Answer]) -> int:
        """How many of `answers` are logins; the others may only say that the code is wrong."""
        codes = Counter(answer.code for answer in answers)
        self.expect("answers to a login", set(codes) - {0, CODE_WRONG, UNAVAILABLE}, set())
        self.unavailable += codes[UNAVAILABLE]
        self.logins += codes[0]
        return codes[0]


def codes_are_guessed_five_times_and_used_once(lab: Lab) -> Iterator[Finding]:
    """Wrong guesses, right ones, and both while new codes take the place of old ones; through two instances."""
    rounds = lab.count(5, 1)
    for database in (POSTGRES,) if lab.is_short else DATABASES:
        site = lab.site(database)
        yield _judge_guesses(site, database, rounds)
        yield judge_logins(site, database, rounds)
        yield _judge_fresh_codes(site, database, rounds)


def _judge_guesses(site: Site, database: str, rounds: int) -> Finding:
    tally = Tally()
    for _ in range(rounds):
        _guess(site, tally)
        _guess_wrong(site, GUESSES - 1, 0, tally)
        _guess_wrong(site, GUESSES, CODE_WRONG, tally)
    return _finding(
        f"guesses at one code, {database}",
        f"{rounds} codes, {PARALLEL} guesses at each at the same moment, one of them right; {2 * rounds} codes, "
        f"{GUESSES - 1} or {GUESSES} wrong guesses at the same moment; after each the right code",
        f"{GUESSES} guesses counted, then the code is dead; after {GUESSES - 1} it is alive",
        f"counted {' or '.join(map(str, sorted(set(tally.counted))))}; the right one was among those in "
        f"{tally.logins} of {rounds}",
        tally,
    )


def _guess(site: Site, tally: Tally) -> None:
    """Redis itself says how many guesses were counted by number."""
    phones = new_phones(1)
    code = ask_codes(site, phones)[0]
    guesses = random.sample([code, *wrong_codes(code, PARALLEL - 1)], PARALLEL)
    logins = tally.logins_in(site.fire(*[enter_code(phones[0], guess) for guess in guesses]))
    counted = _counted(site, phones[0])
    tally.counted.append(counted)
    tally.expect("guesses counted", counted in (range(1, GUESSES + 1) if logins else (GUESSES,)), True)
    tally.expect("logins by guessing", logins <= 1, True)
    tally.expect("the right code afterwards", site.ask(enter_code(phones[0], code)).code, CODE_WRONG)


def _counted(site: Site, phone: str) -> int:
    with site.app.app_context():
        return GUESSES - int(live_codes(phone)[-1]["left"])


def _guess_wrong(site: Site, count: int, then: int, tally: Tally) -> None:
    """So many wrong guesses at the same moment, after which the right code is answered `then`."""
    phones = new_phones(1)
    code = ask_codes(site, phones)[0]
    answers = site.fire(*[enter_code(phones[0], guess) for guess in wrong_codes(code, count)])
    tally.expect(f"{count} wrong guesses", {answer.code for answer in answers}, {CODE_WRONG})
    tally.expect(f"the right code after {count} wrong guesses", site.ask(enter_code(phones[0], code)).code, then)


def judge_logins(site: Site, name: str, rounds: int) -> Finding:
    """Log in with each of so many codes, often at the same moment."""
    tally = Tally()
    phones = new_phones(rounds)
    for phone, code in zip(phones, ask_codes(site, phones), strict=True):
        answers = site.fire(*[enter_code(phone, code)] * PARALLEL)
        tally.expect(f"logins of {PARALLEL}", tally.logins_in(answers), 1)
        _check_login(site, phone, [answer for answer in answers if answer.code == 0], tally)
    return _finding(
        f"logins with the right code, {name}",
        f"{rounds} codes, {PARALLEL} logins with each at the same moment",
        "1 login, 1 account and 1 session each; the others answer 1000",
        f"{tally.logins} logins with {rounds} codes",
        tally,
    )


def _check_login(site: Site, phone: str, entered: Sequence[Answer], tally: Tally) -> None:
    """One account, one session, and its cookie opens that account."""
    with site.looking() as session:
        uids = list(session.scalars(select(User.id).where(User.phone == phone)))
        owners = list(session.scalars(select(Phone.uid).where(Phone.phone == phone)))
    tally.expect("accounts", (len(uids), owners), (1, uids))
    with site.app.app_context():
        client = site.app.extensions["redis"]
        session_ids = [session_id.decode() for uid in uids for session_id in client.zrange(list_key(uid), 0, -1)]
        stored = [client.exists(key_of(session_id)) for session_id in session_ids]
    cookies = [answer.headers["set-cookie"].partition(";")[0].partition("=")[2] for answer in entered]
    tally.expect("sessions", session_ids, cookies)
    tally.expect("stored sessions", stored, [1])
    for cookie in cookies:
        own = site.ask(RequestSpec("GET", "/api/user/profile", session_id=cookie))
        tally.expect("the account of the cookie", (own.code, int(own.data["id"])), (0, uids[0]))


def _judge_fresh_codes(site: Site, database: str, rounds: int) -> Finding:
    tally = Tally()
    for phone in new_phones(rounds):
        _replace_code(site, phone, tally)
        _replace_code_meanwhile(site, phone, tally)
    return _finding(
        f"fresh codes, {database}",
        f"{rounds} times: {GUESSES - 1} guesses, a new code, {GUESSES - 1} tries with the old one; {PARALLEL} logins "
        "with the new one, with an old and a new one, and while a new one is asked for, at the same moment",
        "the old code is dead, the new one has five guesses of its own and logs in once",
        f"{tally.logins} logins with {CODES * rounds} codes",
        tally,
    )


def _replace_code(site: Site, phone: str, tally: Tally) -> None:
    first = ask_codes(site, [phone])[0]
    tally.logins_in(site.fire(*[enter_code(phone, guess) for guess in wrong_codes(first, GUESSES - 1)]))
    second = ask_codes(site, [phone])[0]
    # Were the guesses at the first code still counted, one of these would kill the second.
    tries = site.fire(*[enter_code(phone, first)] * (GUESSES - 1))
    tally.expect("logins with a replaced code", tally.logins_in(tries), 0)
    answers = site.fire(*[enter_code(phone, second)] * PARALLEL)
    tally.expect("logins with the new code", tally.logins_in(answers), 1)
    third = ask_codes(site, [phone])[0]
    old = random.sample(range(PARALLEL), GUESSES - 1)
    answers = site.fire(*[enter_code(phone, second if number in old else third) for number in range(PARALLEL)])
    tally.expect("logins with an old and a new code", tally.logins_in(answers), 1)
    tally.expect("logins with the old code", [answers[number].code for number in old].count(0), 0)


def _replace_code_meanwhile(site: Site, phone: str, tally: Tally) -> None:
    code = ask_codes(site, [phone])[0]
    end_resend_locks(site)
    logins = [enter_code(phone, code)] * (PARALLEL // 2)
    answers = site.fire(*logins, request_code(phone), *logins)
    tally.expect("the request between them", answers.pop(PARALLEL // 2).code, 0)
    tally.expect("logins while the code is replaced", tally.logins_in(answers) <= 1, True)
    last = _sent_last(site, phone)
    answers = site.fire(*[enter_code(phone, last)] * PARALLEL)
    tally.expect("logins with the last code", tally.logins_in(answers) <= 1, True)


def _sent_last(site: Site, phone: str) -> str:
    """The new code, or still the one before: guesses at that may have killed the new one before it was sent."""

    def is_done() -> bool:
        with site.looking() as session:
            return not session.scalar(select(func.count()).where(SmsOutbox.phone == phone))

    wait_until(is_done, SENDING_SECONDS, "the outbox is not empty")
    return [code for sent_to, code in site.sent_codes() if sent_to == phone][-1]


def _finding(name: str, done: str, target: str, measured: str, tally: Tally) -> Finding:
    for fault in tally.faults[:10]:
        print(f"     {name}: {fault}")
    measured += f"; {tally.unavailable} answered 503" if tally.unavailable else ""
    return Finding(name, done, target, f"{measured}; {len(tally.faults)} differences", not tally.faults)
