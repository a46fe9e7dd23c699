"""GET requests: the own profile, the deck, and the pages that are the same for everyone."""

from collections.abc import Iterator

from bench.lab import Lab
from bench.load import Figures, get, repeated
from bench.report import Row

PROFILE = "/api/user/profile"
PROFILE_TARGET = 1.5


def against(what: str, yardstick: Figures, name: str, swiper: Figures, target: float) -> Row:
    """The row of a request whose CPU may be `target` times the yardstick's."""
    ratio = swiper.cpu_us() / yardstick.cpu_us()
    return Row(
        what,
        f"{name}: {yardstick.cpu_us():.0f} µs",
        f"{swiper.cpu_us():.0f} µs; p99 {swiper.p99_ms:.0f} ms",
        ratio,
        f"<= {target} x",
        ratio <= target,
        f"{yardstick.rate:.0f} → {swiper.rate:.0f}",
        swiper.cpu_us("redis"),
        swiper.cpu_us("database"),
    )


def profile(lab: Lab) -> Iterator[Row]:
    """The own profile against the bare answers."""
    lines = [get(PROFILE, caller.sid) for caller in lab.callers()]
    source = repeated(lines)
    with lab.bare(lines[0], source) as bare:
        wsgi, flask, swiper = lab.compare(bare.wsgi, bare.flask, lab.swiper(source))
    yield against(
        f"GET {PROFILE}", flask, f"bare Flask view (bare WSGI: {wsgi.cpu_us():.0f} µs)", swiper, PROFILE_TARGET
    )
