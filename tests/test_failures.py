"""docs/failures.md names what shows each of its lines; that must be there."""

import re

from chaos.__main__ import EXPERIMENTS
from config.settings import ROOT


def test_every_line_of_the_table_names_an_experiment_or_a_test_file_that_exists() -> None:
    lines = [line for line in (ROOT / "docs/failures.md").read_text().splitlines() if line.startswith("| ")]
    witnesses = [re.fullmatch(r"`(\S+)`", line.split("|")[-2].strip()) for line in lines[1:] if "---" not in line]
    names = {match and match[1] for match in witnesses}
    experiments = {experiment.__name__ for experiment in EXPERIMENTS}
    assert len(witnesses) > 15
    assert {name for name in names if not name or not (name in experiments or (ROOT / name).is_file())} == set()
