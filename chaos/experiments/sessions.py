"""Logging out while requests are under way, and old, stolen and planted session ids."""

import secrets
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select

from chaos.burst import Answer, RequestSpec, burst, loaded
from chaos.lab import POSTGRES, Lab
from chaos.members import Member
from chaos.phones import ask_codes, enter_code, new_phones
from chaos.report import Finding
from chaos.requests import upload_photo
from chaos.site import Site
from swiper.profiles.accounts import delete_account, set_status
from swiper.profiles.models import Status, User

# Sessions of one user.
EACH = 5
TOGETHER = 25
# Long enough for a request to reach the application, and short enough for one that waits for a lock.
UNDER_WAY_SECONDS = 0.3
OK, NOT_LOGGED_IN = 0, 1001


def old_sessions_are_dead(lab: Lab) -> Iterator[Finding]:
    """Slow requests around a logout, logout everywhere, stolen ids, session fixation."""
    site, count = lab.site(POSTGRES), lab.count(100, 40)
    yield _logout_meets_slow_bodies(site, 100)
    yield _logout_meets_slow_answers(site, 100)
    yield _logout_everywhere(site, 100)
    yield _stolen_ids(site, count)
    yield _planted_ids(site, count)


def _logout_meets_slow_bodies(site: Site, count: int) -> Finding:
    """The application waits for the last byte of a body when the logout comes."""
    members = site.add_members(count)
    with loaded(_slow(site, members)) as finish:
        time.sleep(UNDER_WAY_SECONDS)
        site.prepare(*[member.post("/api/user/logout") for member in members], at_once=TOGETHER)
        answers = finish()
    return _finding(
        site,
        "logout while a body is under way",
        f"{count} uploads, profile changes and swipes that begin before the logout and end after it, on two instances; "
        f"{_served(answers)} were served",
        [member.session_id for member in members],
        answers,
    )


def _slow(site: Site, members: Sequence[Member]) -> Iterator[tuple[str, RequestSpec]]:
    """Requests that the application sees at once: nginx would wait for their whole bodies first."""
    for number, member in enumerate(members):
        specs = (
            upload_photo(member),
            member.post("/api/user/profile/modify", bio="slow"),
            member.swipe("like", members[number - 1]),
        )
        yield site.instance_bases[number % 2], specs[number // 2 % 3]


def _logout_meets_slow_answers(site: Site, count: int) -> Finding:
    """The application waits for the database, in requests that came through nginx, when the logout comes."""
    members, answers = site.add_members(count), []
    with ThreadPoolExecutor(1) as pool:
        for start in range(0, count, TOGETHER):
            group = members[start : start + TOGETHER]
            with site.looking() as session:
                session.execute(select(User.id).where(User.id.in_([each.id for each in group])).with_for_update())
                slow = pool.submit(site.fire, *[each.post("/api/user/profile/modify", bio="slow") for each in group])
                time.sleep(UNDER_WAY_SECONDS)
                site.prepare(*[each.post("/api/user/logout") for each in group])
            answers += slow.result()
    return _finding(
        site,
        "logout while an answer is under way",
        f"{count} profile changes through nginx, held up by a lock in the database until the logout is done; "
        f"{_served(answers)} were served",
        [member.session_id for member in members],
        answers,
    )


def _logout_everywhere(site: Site, count: int) -> Finding:
    """Each user has several sessions, all of them busy, and ends them from one."""
    users, others = site.add_members(count // EACH), site.add_members(count // EACH)
    sessions = [each for user in users for each in [user, *site.open_sessions([user.id] * (EACH - 1))]]
    with loaded(_slow(site, sessions)) as finish:
        time.sleep(UNDER_WAY_SECONDS)
        site.prepare(*[user.post("/api/user/logout", all=True) for user in users])
        answers = finish()
    return _finding(
        site,
        "logout everywhere",
        f"{len(users)} users with {EACH} sessions each, every one with a request under way; {_served(answers)} were "
        f"served; {len(others)} other users stay",
        [each.session_id for each in sessions],
        answers,
        alive=[each.session_id for each in others],
    )


def _stolen_ids(site: Site, count: int) -> Finding:
    """Somebody has copied the cookie; its owner logs out, logs in anew, goes for good, or is suspended."""
    phones = new_phones(count // 4)
    codes = zip(phones, ask_codes(site, phones), strict=True)
    first = [answer.cookie or "" for answer in site.fire(*[enter_code(*pair) for pair in codes])]
    again = [
        RequestSpec("POST", "/api/user/login", {"phonenum": phone, "vcode": code}, session_id)
        for phone, code, session_id in zip(phones, ask_codes(site, phones), first, strict=True)
    ]
    second = site.fire(*again)
    leaving, going, suspended = (site.add_members(count // 4) for _ in range(3))
    site.prepare(*[each.post("/api/user/logout") for each in leaving])
    with site.looking():
        for each in going:
            delete_account(each.id)
    with site.looking():
        for each in suspended:
            set_status(each.id, Status.SUSPENDED)
    return _finding(
        site,
        "stolen session id",
        f"{count} cookies whose owners log out, log in anew, delete the account, or are suspended",
        first + [each.session_id for each in [*leaving, *going, *suspended]],
        alive=[answer.cookie or "" for answer in second],
    )


def _planted_ids(site: Site, count: int) -> Finding:
    """A victim logs in with a cookie that an attacker knows: an invented id, one that has ended, or the attacker's."""
    ended, own = site.add_members(count // 4), site.add_members(count // 4)
    site.prepare(*[each.post("/api/user/logout") for each in ended])
    invented = [secrets.token_urlsafe(32) for _ in range(count - len(ended) - len(own))]
    planted = invented + [each.session_id for each in [*ended, *own]]
    phones = new_phones(count)
    logins = [
        RequestSpec("POST", "/api/user/login", {"phonenum": phone, "vcode": code}, session_id)
        for phone, code, session_id in zip(phones, ask_codes(site, phones), planted, strict=True)
    ]
    answers = site.fire(*logins, at_once=TOGETHER)
    cookies = [answer.headers.get("set-cookie", "") for answer in answers]
    bare = sum("HttpOnly" not in cookie or "SameSite=Lax" not in cookie for cookie in cookies)
    assert bare == 0, f"{bare} cookies without their flags"
    return _finding(
        site,
        "session fixation",
        f"{count} logins with a planted cookie: invented, ended, or of the attacker's own session",
        planted,
        alive=[answer.cookie or "" for answer in answers],
    )


def _served(answers: Sequence[Answer]) -> int:
    return sum(answer.code == OK for answer in answers)


def _finding(
    site: Site,
    experiment: str,
    done: str,
    dead: Sequence[str],
    answers: Sequence[Answer] = (),
    alive: Sequence[str] = (),
) -> Finding:
    """Show every cookie to each instance; `answers` of requests under way must not have brought others."""
    revived = {answer.cookie for answer in answers if answer.cookie} - set(dead)
    found = sum(code == NOT_LOGGED_IN for code in _codes(site, dead))
    kept = sum(code == OK for code in _codes(site, alive))
    fresh = sum(code == OK for code in _codes(site, list(revived)))
    also = f"; {kept} of {len(alive)} others alive" if alive else ""
    return Finding(
        experiment,
        done,
        f"the old cookie is dead in {len(dead)} of {len(dead)}",
        f"dead in {found} of {len(dead)}, {fresh} new ones given out{also}",
        found == len(dead) and kept == len(alive) and fresh == 0 and (not answers or _served(answers) > 0),
    )


def _codes(site: Site, session_ids: Sequence[str]) -> list[int]:
    """What each session is answered at the instances; -1 where they disagree."""
    specs = [RequestSpec("GET", "/api/user/profile", session_id=session_id) for session_id in session_ids]
    rounds = [burst(base, specs, TOGETHER) if specs else [] for base in site.instance_bases]
    return [codes[0].code if len({each.code for each in codes}) == 1 else -1 for codes in zip(*rounds, strict=True)]
