"""Whether the fast paths may be used: in a gevent worker, when they are on, with versions of libraries that we know.

The fast paths lean on private names and on behaviour that no manual promises. With another version of a library the
stock way serves.
"""

import logging
from importlib.metadata import version

from gevent.monkey import is_module_patched

log = logging.getLogger(__name__)

Versions = dict[str, tuple[str, ...]]

# Versions, as far as they are written, that the tests have run with.
REDIS: Versions = {"redis": ("8.1",), "hiredis": ("3.5",), "gevent": ("26.9",)}
POSTGRES: Versions = {"psycopg": ("3.3",), "sqlalchemy": ("2.1",), "gevent": ("26.9",)}


def is_known(package: str, known: tuple[str, ...]) -> bool:
    """True where the installed version of `package` begins with one of the `known` ones."""
    installed = version(package)
    return any(f"{installed}.".startswith(f"{each}.") for each in known)


def may_share(is_on: bool, packages: Versions) -> bool:
    """True where connections are to be shared. An unknown version is logged; threads and commands never share."""
    if not is_on or not is_module_patched("socket"):
        return False
    unknown = [package for package, known in packages.items() if not is_known(package, known)]
    for package in unknown:
        log.warning("%s %s is not known to the fast path; the stock way serves", package, version(package))
    return not unknown
