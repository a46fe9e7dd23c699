"""The revisions of the schema that this code knows."""

import functools
from collections.abc import Collection

from alembic.script import ScriptDirectory
from sqlalchemy import text

from config.settings import ROOT

# The revisions of a database, in Alembic's table. Alembic's own reader logs two lines each time.
STORED = text("SELECT version_num FROM alembic_version")


def is_behind(stored: Collection[str]) -> bool:
    """Return True if a database with the revisions `stored` lacks a migration of this code.

    A revision that this code does not know is that of a later release, which adds to the schema and takes nothing away:
    this code runs on it.
    """
    heads, known = known_revisions()
    return known.issuperset(stored) and heads != frozenset(stored)


@functools.cache
def known_revisions() -> tuple[frozenset[str], frozenset[str]]:
    """Return the newest revision, as a set, and all of them."""
    scripts = ScriptDirectory(str(ROOT / "migrations"))
    return frozenset(scripts.get_heads()), frozenset(script.revision for script in scripts.walk_revisions())
