"""GET requests: the own profile, the deck, and the pages that are the same for everyone."""

import time
from collections.abc import Iterator, Sequence

from bench.callers import Caller
from bench.lab import Lab
from bench.load import Contender, Results, Round, get, repeated
from bench.report import Row
from bench.site import DATABASE, Site
from chaos.burst import RequestSpec, burst
from swiper.cache.values import invalidate
from swiper.social.ranking import PAGE_KEY

PROFILE, DECK, LEVELS, HOT = "/api/user/profile", "/api/social/users", "/api/vip/levels", "/api/social/hot"
# The target of a profile was 1.5 while Swiper dispatched requests by code of its own.
PROFILE_TARGET, DECK_TARGET, PAGE_TARGET = 1.6, 2.2, 1.3
WITHIN = 1.2
SPREAD_TARGET = 5.0
NGINX_TARGET = 5.0
GROUPS = range(4)
BUSIEST = 50
AT_ONCE = 100


def against(what: str, yardstick: Results, name: str, swiper: Results, target: float | None) -> Row:
    """The row of a request whose CPU may be `target` times the yardstick's; None where there is no target."""
    ratio = swiper.cpu_us() / yardstick.cpu_us()
    return Row(
        what,
        f"{name}: {yardstick.cpu_us():.0f} µs; p99 {yardstick.p99_ms:.0f} ms",
        f"{swiper.cpu_us():.0f} µs; p99 {swiper.p99_ms:.0f} ms"
        + (f"; {swiper.refused} refused" if swiper.refused else ""),
        ratio,
        "" if target is None else f"<= {target} x",
        None if target is None else ratio <= target,
        f"{yardstick.rate:.0f} → {swiper.rate:.0f}",
        swiper.cpu_us("redis"),
        swiper.cpu_us("database"),
    )


def everything(each: Round) -> float:
    """CPU of all servers together, in microseconds a request."""
    return sum(each.cpu_us.values())


def not_dearer(what: str, name: str, yardstick: Results, swiper: Results) -> Row:
    """The row of a request that must cost all servers together the same in two situations."""
    ratio = swiper.median(everything) / yardstick.median(everything)
    return Row(
        what,
        f"{name}: {yardstick.median(everything):.0f} µs of all servers",
        f"{swiper.median(everything):.0f} µs of all servers",
        ratio,
        f"<= {WITHIN} x",
        ratio <= WITHIN,
        f"{yardstick.rate:.0f} → {swiper.rate:.0f}",
        swiper.cpu_us("redis"),
        swiper.cpu_us("database"),
    )


def deck_lines(callers: Sequence[Caller], groups: Sequence[int] = GROUPS) -> list[str]:
    """Each caller asks for `groups` in turn, all callers for the first one first."""
    return [get(f"{DECK}?group_num={group}", caller.session_id) for group in groups for caller in callers]


def deck_of(site: Site, callers: Sequence[Caller]) -> Contender:
    """The deck of `callers`, groups in turn."""
    return site.swiper(repeated(deck_lines(callers)))


def profile(lab: Lab) -> Iterator[Row]:
    """The own profile against the bare answers."""
    lines = [get(PROFILE, caller.session_id) for caller in lab.callers()]
    source = repeated(lines)
    with lab.bare(lines[0], source) as bare:
        wsgi, flask, swiper = lab.compare(bare.wsgi, bare.flask, lab.swiper(source))
    name = f"bare Flask view (bare WSGI: {wsgi.cpu_us():.0f} µs)"
    yield against(f"GET {PROFILE}", flask, name, swiper, PROFILE_TARGET)


def deck(lab: Lab) -> Iterator[Row]:
    """The deck against a bare view, and for those who have swiped most against those who have swiped nobody."""
    lines = deck_lines(lab.callers())
    first = repeated(deck_lines(lab.callers(), [0]))
    busy = lab.callers(lab.filled.busy[:BUSIEST])
    idle = lab.callers(lab.filled.idle[: len(busy)])
    with lab.bare(lines[0], repeated(lines)) as bare:
        wsgi, flask, group_0, in_turn, of_idle, of_busy = lab.compare(
            *(bare.wsgi, bare.flask, lab.swiper(first), lab.swiper(repeated(lines))),
            *(deck_of(lab, idle), deck_of(lab, busy)),
        )
    name = f"bare Flask view (bare WSGI: {wsgi.cpu_us():.0f} µs)"
    yield against(f"GET {DECK}, group 0", flask, name, group_0, DECK_TARGET)
    yield against(f"GET {DECK}, groups 0 to 3 in turn", flask, name, in_turn, DECK_TARGET)
    swiped = lab.in_database("SELECT count(*) FROM swipes WHERE uid = %s", busy[0].id)[0][0]
    yield not_dearer(f"GET {DECK} by callers with {swiped:,} swipes", "callers with none", of_idle, of_busy)
    spread = in_turn.p99_ms / in_turn.p50_ms
    yield Row(
        f"GET {DECK}, slowest of 100 under load",
        f"median {in_turn.p50_ms:.0f} ms",
        f"p99 {in_turn.p99_ms:.0f} ms",
        spread,
        f"<= {SPREAD_TARGET} x",
        spread <= SPREAD_TARGET,
    )


def pages(lab: Lab) -> Iterator[Row]:
    """The cached pages against a bare view, their 304, nginx's cache, and a miss that meets many at once."""
    caller = lab.callers()[0]
    for path, line in ((LEVELS, get(LEVELS)), (HOT, get(HOT, caller.session_id))):
        yield from _page(lab, path, line)
    direct, cached = lab.compare(
        lab.swiper(repeated([get(LEVELS)])),
        Contender(lab.front, lab.pids | {"nginx": lab.nginx.pid}, repeated([get(LEVELS)])),
    )
    ratio = cached.rate / direct.rate
    yield Row(
        f"GET {LEVELS} from nginx's cache",
        f"past nginx: {direct.rate:.0f} a second",
        f"{cached.rate:.0f} a second; nginx {cached.cpu_us('nginx'):.0f} µs",
        ratio,
        f">= {NGINX_TARGET} x",
        ratio >= NGINX_TARGET,
        f"{direct.rate:.0f} → {cached.rate:.0f}",
    )
    yield _cold(lab, caller)


def _page(lab: Lab, path: str, line: str) -> Iterator[Row]:
    headers = dict(lab.sample(line)["headers"])
    again = f"{line}\tIf-None-Match: {headers['ETag']}"
    (answer,) = burst(lab.base, [_as_spec(again)])
    with lab.bare(line, repeated([line])) as bare:
        flask, swiper, known = lab.compare(bare.flask, lab.swiper(repeated([line])), lab.swiper(repeated([again])))
    yield against(f"GET {path}", flask, "bare Flask view", swiper, PAGE_TARGET)
    words = f"{answer.status}, {len(answer.body)} bytes; {known.cpu_us():.0f} µs"
    yield Row(f"GET {path} with a known ETag", "", words, None, "304", answer.status == 304)


def _as_spec(line: str) -> RequestSpec:
    """A line of load as a request for a burst."""
    method, path, _, *rest = line.split("\t")
    return RequestSpec(method, path, headers=dict(each.split(": ", 1) for each in rest))


def _cold(lab: Lab, caller: Caller) -> Row:
    """A hundred at once for a page that is in no cache: how often the view runs."""
    spec = RequestSpec("GET", HOT, session_id=caller.session_id)

    def ask(count: int, *, is_cold: bool) -> list[str]:
        if is_cold:
            with lab.app.app_context():
                invalidate(PAGE_KEY)
            # Until then each worker has a copy of its own.
            time.sleep(lab.settings.local_refresh_seconds)
        answers = []
        logged = lab.postgres.statements_of(DATABASE, lambda: answers.extend(burst(lab.base, [spec] * count)))
        assert {answer.status for answer in answers} == {200}
        return [statement.text for statement in logged]

    # Asked each time that the page is made, and so not by somebody who only came at a certain moment.
    first, second = ask(1, is_cold=True), ask(1, is_cold=True)
    # Right after it was made: a while later its time may be over in one worker or in all.
    warm = ask(1, is_cold=False)
    only_there = [text for text in first if text not in warm and first.count(text) == second.count(text) == 1]
    # The cards of the page. Each worker asks once a second for bans and for what is out of date, too.
    only_there = [text for text in only_there if "FROM users" in text]
    assert only_there, "the view asks the database nothing that can be counted"
    times = ask(AT_ONCE, is_cold=True).count(only_there[0])
    what = f"GET {HOT}, {AT_ONCE} at once, in no cache"
    return Row(what, "", f"the view runs {times} times", None, "once", times == 1)
