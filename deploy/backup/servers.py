"""PostgreSQL by pg_dump and pg_restore, MariaDB by mariadb-dump and mariadb."""

import gzip
import re
from pathlib import Path
from typing import IO, cast

from deploy.backup.databases import Database, Tool, find_tool

# Most of what compression can save, in a fifth of the time that the usual level takes.
GZIP_LEVEL = 1
# Lines of `pg_restore --list` about what belongs to the administrator, whom the site's role is not. An extension that
# the database has, for example for statistics, the administrator makes in the new one as well.
OF_ADMINISTRATOR = re.compile(r"\d+; \d+ \d+ (?:EXTENSION|COMMENT - EXTENSION|COMMENT - SCHEMA) .*\n")
# PyMySQL's names of what TLS needs, and those of MariaDB's programs.
TLS_OPTIONS = {"ssl_ca": "ssl-ca", "ssl_cert": "ssl-cert", "ssl_key": "ssl-key"}


class Postgres(Database):
    """A dump in pg_dump's own format, of one snapshot; it is loaded in one transaction."""

    label = "PostgreSQL"

    def dump(self, path: Path) -> None:
        """See `Database`."""
        tool = find_tool("postgresql-client", "pg_dump")
        options = ("--format=custom", f"--compress={GZIP_LEVEL}", "--no-owner", "--no-privileges", "--no-password")
        Tool([tool, *options, f"--file={path}", f"--dbname={self._address()}"], self._environment()).run()

    def load(self, path: Path) -> None:
        """See `Database`. Afterwards the server knows how the values are distributed, without which it plans badly."""
        tool = find_tool("postgresql-client", "pg_restore")
        options = ("--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges", "--no-password")
        own = self.private_file("restored", OF_ADMINISTRATOR.sub("", Tool([tool, "--list", path]).run()))
        Tool([tool, *options, f"--use-list={own}", f"--dbname={self._address()}", path], self._environment()).run()
        analyze = (find_tool("postgresql-client", "psql"), "--no-psqlrc", "--quiet", "--command=ANALYZE")
        Tool([*analyze, f"--dbname={self._address()}"], self._environment()).run()

    def _address(self) -> str:
        """Return the URL for libpq, without passwords."""
        plain = self.url.set(drivername="postgresql", password=None).difference_update_query(["password"])
        return plain.render_as_string(hide_password=False)

    def _environment(self) -> dict[str, str]:
        password = self.url.password or self.url.query.get("password")
        if not isinstance(password, str):
            return {}
        escaped = password.replace("\\", "\\\\").replace(":", "\\:")
        return {"PGPASSFILE": str(self.private_file("pgpass", f"*:*:*:*:{escaped}\n"))}


class MariaDB(Database):
    """A dump as SQL of one snapshot, compressed."""

    label = "MariaDB"

    def dump(self, path: Path) -> None:
        """See `Database`."""
        tool = find_tool("mariadb-client", "mariadb-dump", "mysqldump")
        options = ("--single-transaction", "--quick", "--hex-blob", "--no-tablespaces", "--no-autocommit")
        command = Tool([tool, self._option_file(), *options, self._name()])
        with gzip.open(path, "xb", compresslevel=GZIP_LEVEL) as target:
            command.read_into(cast(IO[bytes], target), self.private / "messages")

    def load(self, path: Path) -> None:
        """See `Database`."""
        tool = find_tool("mariadb-client", "mariadb", "mysql")
        command = Tool([tool, self._option_file(), "--batch", self._name()])
        with gzip.open(path, "rb") as source:
            command.write_from(cast(IO[bytes], source), self.private / "messages")

    def _name(self) -> str:
        return self.url.database or ""

    def _option_file(self) -> str:
        """Return the option that names a file with all that the tool needs to connect; it must be the first one."""
        query = {name: value for name, value in self.url.query.items() if isinstance(value, str)}
        values = {
            "host": self.url.host,
            "port": self.url.port,
            "user": self.url.username,
            "password": self.url.password,
            "socket": query.get("unix_socket"),
            "default-character-set": "utf8mb4",
        } | {option: query.get(name) for name, option in TLS_OPTIONS.items()}
        lines = [f"{name}={_quoted(str(value))}" for name, value in values.items() if value is not None]
        return f"--defaults-file={self.private_file('options.cnf', chr(10).join(['[client]', *lines, '']))}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
