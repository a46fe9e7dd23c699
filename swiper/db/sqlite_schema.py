"""Constraints of a table on SQLite, without a copy of its rows.

SQLite has no statement for it, and Alembic would copy the table while nobody else writes. SQLite's manual describes
this way for changes that leave the rows as they are (https://sqlite.org/lang_altertable.html, "Making Other Kinds Of
Table Schema Changes").
"""

import re

import sqlalchemy as sa
from alembic import op

DEFINITION = sa.text("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = :table")
DEFINE = sa.text("UPDATE sqlite_schema SET sql = :sql WHERE type = 'table' AND name = :table")


def edit_table(table: str, pattern: str, replacement: str) -> None:
    """Replace the only match of a regular expression in the statement that has made a table.

    Raises ValueError if it matches never or more than once. A script of SQL cannot do it, and leaves it out.
    """
    if op.get_context().as_sql:
        return
    connection = op.get_bind()
    sql, count = re.subn(pattern, replacement, connection.scalar(DEFINITION, {"table": table}) or "")
    if count != 1:
        raise ValueError(f"the definition of {table} matches {count} times: {pattern}")
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.execute(DEFINE, {"sql": sql, "table": table})
    # Tells all connections to read the schema anew.
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = RESET")
