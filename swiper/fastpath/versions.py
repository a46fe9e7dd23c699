"""Decides whether the fast paths are used: in a gevent worker, when they are on, with known versions of libraries.

The fast paths use private names and undocumented behaviour of libraries. With an unknown version of a library the stock
clients are used.
"""

import logging
from importlib.metadata import version

from gevent.monkey import is_module_patched

log = logging.getLogger(__name__)

Versions = dict[str, tuple[str, ...]]

# The tests have run with these versions. A version is known if it begins with one of these numbers.
REDIS: Versions = {"redis": ("8.1",), "hiredis": ("3.5",), "gevent": ("26.9",)}
POSTGRES: Versions = {"psycopg": ("3.3",), "sqlalchemy": ("2.1",), "gevent": ("26.9",)}


def is_known(package: str, known: tuple[str, ...]) -> bool:
    """Return True if the installed version of `package` begins with one of the `known` ones."""
    installed = version(package)
    return any(f"{installed}.".startswith(f"{each}.") for each in known)


def may_share(is_on: bool, packages: Versions) -> bool:
    """Return True if connections are shared. An unknown version is logged. Threads and commands never share."""
    if not is_on or not is_module_patched("socket"):
        return False
    unknown = [package for package, known in packages.items() if not is_known(package, known)]
    for package in unknown:
        log.warning("%s %s is not known to the fast path; the stock way serves", package, version(package))
    return not unknown
