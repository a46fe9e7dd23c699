"""`make chaos` runs all experiments and writes docs/reliability.md; `QUICK=1` runs a short form and writes nothing."""

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Iterator

from chaos.experiments import (
    backups,
    budgets,
    codes,
    disks,
    kills,
    matches,
    model,
    outages,
    payments,
    quotas,
    releases,
    rolling,
    sales,
    sessions,
    sms_failover,
    swipes,
    upgrades,
)
from chaos.lab import Lab
from chaos.report import Finding, as_markdown, as_text
from chaos.servers import missing_programs
from chaos.time_limit import TooLongError, limit_run
from config.settings import ROOT

Experiment = Callable[[Lab], Iterator[Finding]]

EXPERIMENTS: tuple[Experiment, ...] = (
    matches.couples_match_exactly_once,
    swipes.races_end_as_one_after_the_other,
    model.steps_differ_nowhere_from_the_model,
    quotas.quotas_are_exact,
    codes.codes_are_guessed_five_times_and_used_once,
    budgets.budgets_hold,
    sms_failover.codes_are_sent_when_providers_fail,
    kills.nothing_is_lost_when_parts_are_killed,
    sales.a_sale_sells_each_place_once,
    payments.payments_are_granted_once,
    rolling.killed_processes_are_not_seen,
    releases.a_release_loses_no_request,
    outages.servers_fail_and_return,
    sessions.old_sessions_are_dead,
    disks.disks_fail_and_return,
    backups.backups_bring_a_site_back,
    upgrades.upgrades_keep_nobody_waiting,
)
PAGE = ROOT / "docs/reliability.md"
# Of the short and of the long form. A run that is ended writes no page, so this is for one that hangs: the long form
# took 20 minutes when it had half of the experiments and the machine for itself.
LONGEST_SECONDS = {True: 12 * 60, False: 120 * 60}


def main() -> int:
    """0 when every target was met, 1 otherwise, 2 where the experiments cannot run."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--short", action="store_true", help="the short form, which writes no page")
    parser.add_argument("only", nargs="*", help="names of experiments; by default all of them")
    options = parser.parse_args()
    chosen = [experiment for experiment in EXPERIMENTS if not options.only or experiment.__name__ in options.only]
    missing = missing_programs()
    known = [experiment.__name__ for experiment in EXPERIMENTS]
    if missing or not chosen or not set(options.only) <= set(known):
        names = ", ".join(known)
        print(f"not installed: {', '.join(missing)}" if missing else f"experiments: {names}", file=sys.stderr)
        return 2
    limit_run(LONGEST_SECONDS[options.short])
    started = time.monotonic()
    with Lab(options.short) as lab:
        findings = [finding for experiment in chosen for finding in _findings(experiment, lab)]
    seconds = time.monotonic() - started
    failed = sum(not finding.passed for finding in findings)
    print(as_text(findings))
    print(f"{len(findings) - failed} passed, {failed} failed")
    print(f"in {seconds:.0f} s")
    if not options.short and not options.only:
        PAGE.write_text(as_markdown(findings, _head(seconds)))
    return 1 if failed else 0


def _findings(experiment: Experiment, lab: Lab) -> Iterator[Finding]:
    """What an experiment finds; one that breaks has failed, and the others go on."""
    started = time.monotonic()
    try:
        for finding in experiment(lab):
            print(f"{finding.verdict} {finding.experiment}: {finding.measured}", flush=True)
            yield finding
    except TooLongError:
        raise
    except Exception as error:
        traceback.print_exc()
        text = f"broke off: {type(error).__name__}: {str(error)[:300]}"
        yield Finding(experiment.__name__, "", "", " ".join(text.split()), False)
    print(f"     {experiment.__name__}: {time.monotonic() - started:.0f} s", flush=True)


def _head(seconds: float) -> str:
    return (ROOT / "chaos/head.md").read_text().format(minutes=round(seconds / 60))


if __name__ == "__main__":
    sys.exit(main())
