"""A database and a role of its own for a site, made by the server's administration on this machine.

Neither the password nor what could be used in its place stands among the arguments of a process: the SQL goes through
standard input, and holds what the server would store of the password, so that its log has no password either.
"""

import base64
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy.operate.errors import OperateError
from deploy.operate.steps import Steps

NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
# RFC 7677 asks for 4,096 at least, which is PostgreSQL's default as well.
ITERATIONS = 4096


@dataclass(frozen=True)
class Kind:
    """A kind of database server; `admin` is the command that takes SQL from its administrator."""

    admin: tuple[str, ...]
    account: str
    port: int
    scheme: str
    sql: Callable[[str, str], str]


def postgres_verifier(password: str, salt: bytes) -> str:
    """Return what PostgreSQL stores of a password (RFC 5803)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    stored, server = hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(each).decode() for each in (salt, stored, server))
    return f"SCRAM-SHA-256${ITERATIONS}:{salt64}${stored64}:{server64}"


def _postgres_sql(name: str, password: str) -> str:
    verifier = postgres_verifier(password, secrets.token_bytes(16))
    # The name has been checked, and the verifier is base64.
    return f"""\\set ON_ERROR_STOP on
SELECT 'CREATE ROLE "{name}"' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') \\gexec
ALTER ROLE "{name}" LOGIN PASSWORD '{verifier}';
SELECT 'CREATE DATABASE "{name}" OWNER "{name}" ENCODING ''UTF8'' TEMPLATE template0'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}') \\gexec
REVOKE ALL ON DATABASE "{name}" FROM PUBLIC;
"""  # noqa: S608


def mariadb_verifier(password: str) -> str:
    """Return what MariaDB stores of a password."""
    # The method is the server's. The password is random and long, so nothing is gained by a slower one.
    twice = hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest()  # noqa: S324
    return f"*{twice.upper()}"


def _mariadb_sql(name: str, password: str) -> str:
    lines = [f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;"]
    # A client of 127.0.0.1 is known by the one or by the other, depending on skip_name_resolve.
    for host in ("localhost", "127.0.0.1"):
        account = f"'{name}'@'{host}'"
        verifier = mariadb_verifier(password)
        lines.append(f"CREATE USER IF NOT EXISTS {account};")
        lines.append(f"ALTER USER {account} IDENTIFIED VIA mysql_native_password USING '{verifier}';")
        lines.append(f"GRANT ALL PRIVILEGES ON `{name}`.* TO {account};")
    return "\n".join(lines) + "\n"


KINDS = {
    "postgresql": Kind(("psql", "--no-psqlrc", "--quiet"), "postgres", 5432, "postgresql", _postgres_sql),
    "mariadb": Kind(("mariadb",), "root", 3306, "mariadb", _mariadb_sql),
}


def make_database(steps: Steps, kind: str, name: str, admin: Sequence[str], port: int | None) -> str:
    """Make the database and the role `name`, or give that role a new password. Return the address with the password.

    `admin` is the administrator's client, if it is not the one of this machine, and `port` where the server listens.
    """
    server = KINDS[kind]
    if not NAME.fullmatch(name):
        raise OperateError(f"{name!r} cannot be the name of a database: small letters, digits and _, 31 at most")
    command = list(admin) or [*_as_account(server.account), *server.admin]
    password = secrets.token_urlsafe(32)
    steps.run(f"make the {kind} database {name} and its role", command, stdin=server.sql(name, password))
    return f"{server.scheme}://{name}:{password}@127.0.0.1:{port or server.port}/{name}"


def _as_account(name: str) -> tuple[str, ...]:
    return () if os.getuid() or name == "root" else ("runuser", "-u", name, "--")
