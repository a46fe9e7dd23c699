"""`make engines` tries each engine and writes docs/engines.md; `QUICK=1` is a short form that writes nothing.

The exit code is 0 when all was well, 1 when something was amiss, 2 where a package of Debian's has to be installed.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Sequence

from chaos import report, tables
from chaos.engines.registry import Engine, NotHereError, all_engines
from chaos.engines.trial import COLUMNS, Trial
from chaos.lab import Lab
from chaos.servers import missing_programs
from chaos.time_limit import TooLongError, limit_run
from config.settings import ROOT

PAGE, HEAD = ROOT / "docs/engines.md", ROOT / "chaos/engines/head.md"
LONGEST_SECONDS = {True: 20 * 60, False: 90 * 60}


def main() -> int:
    """See the module's own words."""
    parser = argparse.ArgumentParser(prog="python -m chaos.engines", description=__doc__)
    parser.add_argument("--short", action="store_true", help="the short form, which writes no page")
    parser.add_argument("only", nargs="*", help="names of engines; by default all of them")
    options = parser.parse_args()
    engines = all_engines()
    unknown = set(options.only) - {engine.name for engine in engines}
    if unknown:
        print(f"engines: {', '.join(engine.name for engine in engines)}", file=sys.stderr)
        return 2
    in_form = [engine for engine in engines if engine.in_short or not options.short]
    chosen = [engine for engine in engines if engine.name in options.only] if options.only else in_form
    missing = sorted({*missing_programs(), *(package for each in chosen for package in each.missing_packages())})
    if missing:
        print(f"not installed: {', '.join(missing)}", file=sys.stderr)
        return 2
    limit_run(LONGEST_SECONDS[options.short])
    started = time.monotonic()
    with Lab(options.short) as lab:
        trials = [_try_out(each, lab) for each in chosen]
    seconds = time.monotonic() - started
    print(tables.as_text(COLUMNS, [trial.cells for trial in trials]))
    print(f"{sum(trial.passed for trial in trials)} of {len(trials)} engines, in {seconds:.0f} s")
    if not options.short and not options.only:
        PAGE.write_text(page_of(trials, seconds))
    return 0 if all(trial.passed for trial in trials) else 1


def _try_out(engine: Engine, lab: Lab) -> Trial:
    """One that breaks off has failed, and the others go on."""
    trial, started = Trial(engine.name, engine.title, lab), time.monotonic()
    try:
        engine.try_out(trial)
    except TooLongError:
        raise
    except NotHereError as error:
        trial.absence = f"not here: {error}"
    except Exception as error:
        traceback.print_exc()
        trial.fault = " ".join(f"{type(error).__name__}: {str(error)[:300]}".split())
    print(f"     {engine.name}: {trial.absence or trial.verdict}, {time.monotonic() - started:.0f} s", flush=True)
    return trial


def page_of(trials: Sequence[Trial], seconds: float) -> str:
    """The text of docs/engines.md."""
    findings = [finding.cells for trial in trials for finding in trial.findings]
    return "\n".join(
        [
            HEAD.read_text().format(minutes=round(seconds / 60)),
            tables.as_markdown(COLUMNS, [trial.cells for trial in trials]),
            "## What was measured\n",
            tables.as_markdown(report.COLUMNS, findings),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
