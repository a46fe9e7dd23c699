"""Reads the settings at the start of a program, and tells all that is wrong with them, one line each."""

import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from config.base import ConfigurationError, Fault
from config.faults import VARIABLES, faults_of, half_read
from config.folders import DISK_OUTAGES, folder_faults
from config.names import FILE, UnreadableError, names_in_file, unknown_names
from config.settings import ROOT, Settings

# The other names that pydantic reads two of the fields by.
KNOWN = frozenset({*VARIABLES, *(field.upper() for field in VARIABLES.values())})


def load_settings(env_file: Path = ROOT / FILE) -> Settings:
    """Return the settings of the environment and of `env_file`. Raises ConfigurationError with every fault of them.

    It asks no server. The folders that are missing are made.
    """
    # It would log each line of the file that it cannot read, which is told here.
    logging.getLogger("dotenv").setLevel(logging.ERROR)
    try:
        in_file, faults = names_in_file(env_file)
    except UnreadableError as error:
        raise ConfigurationError(str(Fault(FILE, str(error)))) from None
    faults += unknown_names(KNOWN, in_file, os.environ)
    settings, found = read_settings(env_file)
    if settings is None:
        # With defaults in place of what is wrong, the rest can be checked as well.
        wrong = {VARIABLES[fault.name] for fault in found}
        settings, more = read_settings(env_file, {field: _default_of(field) for field in wrong})
        found += _about_others(more, found)
    if settings is not None:
        found += folder_faults(settings, skipped={fault.name for fault in found}, tolerated=DISK_OUTAGES)
    faults += found
    if settings is None or faults:
        raise ConfigurationError("\n".join(map(str, faults)))
    return settings


def load_or_exit() -> Settings:
    """Return the settings, or write what is wrong to stderr and end the process."""
    try:
        return load_settings()
    except ConfigurationError as error:
        tell(error)
        sys.exit(1)


def tell(error: ConfigurationError) -> None:
    """Write each line of the error to stderr."""
    for line in str(error).splitlines():
        sys.stderr.write(f"swiper: {line}\n")


def read_settings(env_file: Path, given: Mapping[str, Any] | None = None) -> tuple[Settings | None, list[Fault]]:
    """Return the settings and what is wrong with them; no settings if a field is wrong by itself.

    `given` are values of fields that win over those of the environment.
    """
    try:
        return Settings(_env_file=env_file, **given or {}), []
    except ValidationError as error:
        return half_read(error), faults_of(error)


def _default_of(field: str) -> Any:
    return Settings.model_fields[field].get_default(call_default_factory=True)


def _about_others(faults: list[Fault], told: list[Fault]) -> list[Fault]:
    """Return those of `faults` that are about no variable of `told`."""
    names = {fault.name for fault in told}
    return [fault for fault in faults if not names & {fault.name, *fault.others}]
