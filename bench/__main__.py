"""`make bench` measures everything and writes docs/performance.md; `QUICK=1` runs a short form and writes nothing.

`ONLY="names"` runs some measurements and replaces their rows on the page.

The exit code is 0 when everything ran, whatever the results: the table says what is not reached. With `--strict` it is
1 when something is not reached. It is 1 where a measurement broke off, and 2 where nothing can be measured.
"""

import argparse
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from types import FrameType

from bench.extent import Extent, Size
from bench.lab import Lab
from bench.measurements import ablation, embedded, growth, logins, portable, reads, round_trips, sizes, writes
from bench.pictures import draw_flames, draw_growth
from bench.report import Row, as_markdown, as_text, put_into
from bench.servers import not_installed
from config.settings import ROOT

Measurement = Callable[[Lab], Iterator[Row]]

MEASUREMENTS: tuple[Measurement, ...] = (
    reads.profile,
    reads.deck,
    reads.pages,
    writes.like,
    writes.match,
    ablation.ablation,
    round_trips.count_round_trips,
    growth.people,
    growth.swipes,
    logins.verify,
    logins.login,
    sizes.loading,
    sizes.storage,
    sizes.memory,
    portable.portable,
    embedded.embedded,
)
FULL = Extent(
    sizes=(Size(10_000, 200_000), Size(100_000, 2_000_000), Size(1_000_000, 20_000_000)),
    portable=(Size(10_000, 50_000), Size(100_000, 500_000)),
    portable_rounds=7,
    callers=1_000,
    rounds=7,
    seconds=2,
    many=200_000,
)
SHORT = Extent(
    sizes=(Size(10_000, 50_000), Size(100_000, 500_000)),
    portable=(Size(2_000, 5_000), Size(10_000, 25_000)),
    portable_rounds=1,
    callers=200,
    rounds=2,
    seconds=1,
    many=5_000,
)
PAGE = ROOT / "docs/performance.md"
PICTURES = ROOT / "docs/performance"


def main() -> int:
    """See the module's own words."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--short", action="store_true", help="the short form, which writes no file")
    parser.add_argument("--strict", action="store_true", help="fail when a target is not reached")
    parser.add_argument("--people", type=int, help="so many people and short rounds, to try it out; writes no file")
    parser.add_argument("only", nargs="*", help="names of measurements; by default all of them")
    options = parser.parse_args()
    chosen = [each for each in MEASUREMENTS if not options.only or each.__name__ in options.only]
    missing = not_installed(needs_mariadb=portable.portable in chosen)
    if missing or not chosen:
        names = ", ".join(each.__name__ for each in MEASUREMENTS)
        print(f"not installed: {', '.join(missing)}" if missing else f"measurements: {names}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _interrupt)
    started = time.monotonic()
    rows: list[Row] = []
    with Lab(_extent(options.short, options.people)) as lab:
        broken = [each.__name__ for each in chosen if not _ran(each, lab, rows)]
        writes_files = not (options.short or options.only or options.people or broken)
        if writes_files:
            _draw(lab)
    seconds = time.monotonic() - started
    print(as_text(rows))
    missed = [row.what for row in rows if row.is_reached is False]
    print(f"not reached: {len(missed)}; broken off: {', '.join(broken) or 'none'}; in {seconds:.0f} s")
    if writes_files:
        PAGE.write_text((ROOT / "bench/head.md").read_text().format(minutes=round(seconds / 60)) + as_markdown(rows))
    elif options.only and not (options.short or options.people or broken):
        PAGE.write_text(put_into(PAGE.read_text(), rows))
    return 1 if broken or (options.strict and missed) else 0


def _extent(is_short: bool, people: int | None) -> Extent:
    if people:
        both = (Size(people // 10, people), Size(people, 10 * people))
        return Extent(sizes=both, portable=both, portable_rounds=1, callers=100, rounds=1, seconds=1, many=5_000)
    return SHORT if is_short else FULL


def _ran(measurement: Measurement, lab: Lab, rows: list[Row]) -> bool:
    """Run one measurement; when it breaks off, the others go on."""
    started = time.monotonic()
    try:
        for row in measurement(lab):
            rows.append(row)
            print(f"{row.verdict or '-':11} {row.what}: {row.swiper} ({row.yardstick})", flush=True)
    except Exception:
        traceback.print_exc()
        return False
    finally:
        print(f"{'':11} {measurement.__name__}: {time.monotonic() - started:.0f} s", flush=True)
    return True


def _draw(lab: Lab) -> None:
    PICTURES.mkdir(exist_ok=True)
    draw_growth(lab.curves, PICTURES / "growth.svg")
    for name, make in growth.KINDS.items():
        draw_flames(lab, make(lab), name, PICTURES / f"flames-{name}.svg")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
