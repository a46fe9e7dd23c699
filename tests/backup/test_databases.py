"""Tools of databases are called so that no password can be seen, and what they say is told."""

import json
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from config.urls import with_driver
from deploy.backup.databases import Database
from deploy.backup.errors import BackupError
from deploy.backup.servers import MariaDB, Postgres
from deploy.backup.sqlite import SQLite
from tests import services

PASSWORD = 'p"s:w\\rd é'
ENCODED = "p%22s%3Aw%5Crd%20%C3%A9"
# Notes its arguments, and mode and content of the file that holds the password; it prints a dump.
FAKE = """#!{python}
import json, os, pathlib, sys
secret = os.environ.get("PGPASSFILE") or sys.argv[1].partition("=")[2]
note = pathlib.Path(__file__).with_suffix(".json")
dump = next((word.partition("=")[2] for word in sys.argv if word.startswith("--file=")), "")
if dump:
    pathlib.Path(dump).write_text("dump")
note.write_text(json.dumps({{
    "arguments": sys.argv[1:],
    "secret": pathlib.Path(secret).read_text(),
    "mode": oct(os.stat(secret).st_mode & 0o777),
    "input": "" if sys.argv[0].endswith("dump") else sys.stdin.read(),
}}))
print("the dump")
"""
KINDS = {
    "pg_dump": (Postgres, f"postgresql://swiper:{ENCODED}@db.example:5433/site?sslmode=require"),
    "mariadb-dump": (MariaDB, f"mysql://swiper:{ENCODED}@db.example:3307/site?ssl_ca=/ca.pem"),
}


def install(folder: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / name
    path.write_text(text.format(python=sys.executable))
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def database(name: str, private: Path) -> Database:
    kind, url = KINDS[name]
    return kind(make_url(with_driver(url)), private)


@pytest.mark.parametrize("name", KINDS)
def test_a_password_is_in_a_file_for_the_owner_and_in_no_argument(
    name: str, tmp_path: Path, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, name, FAKE, monkeypatch)
    database(name, private).dump(private / "dump")
    note = json.loads((tmp_path / name).with_suffix(".json").read_text())
    arguments = " ".join(note["arguments"])
    assert PASSWORD not in arguments
    assert ENCODED not in arguments
    assert note["mode"] == "0o600"
    expected = {
        "pg_dump": '*:*:*:*:p"s\\:w\\\\rd é\n',
        "mariadb-dump": '[client]\nhost="db.example"\nport="3307"\nuser="swiper"\npassword="p\\"s:w\\\\rd é"\n'
        'default-character-set="utf8mb4"\nssl-ca="/ca.pem"\n',
    }
    assert note["secret"] == expected[name]
    assert "db.example" in arguments + note["secret"]
    assert (private / "dump").stat().st_size > 0


@pytest.mark.parametrize("name", KINDS)
def test_what_a_tool_says_when_it_fails_is_told(
    name: str, tmp_path: Path, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, name, "#!{python}\nimport sys\nsys.exit('no such server')\n", monkeypatch)
    with pytest.raises(BackupError, match="ended with code 1\nno such server"):
        database(name, private).dump(private / "dump")


def test_a_tool_that_is_not_installed_is_named_with_its_package(private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(BackupError, match=r"pg_dump is not installed .*postgresql-client"):
        database("pg_dump", private).dump(private / "dump")


def sqlite(path: Path, private: Path) -> SQLite:
    return SQLite(make_url(f"sqlite:///{path}"), private)


def test_sqlite_is_copied_while_somebody_writes(tmp_path: Path, private: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE people (id INTEGER)")
        connection.execute("INSERT INTO people VALUES (1)")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO people VALUES (2)")
        sqlite(tmp_path / "a.db", private).dump(private / "dump")
        connection.execute("COMMIT")
    restored = sqlite(tmp_path / "b.db", private)
    assert restored.tables() == []
    restored.load(private / "dump")
    assert restored.tables() == ["people"]
    with closing(sqlite3.connect(tmp_path / "b.db")) as connection:
        assert connection.execute("SELECT id FROM people").fetchall() == [(1,)]
    assert restored.has_rows("people")
    assert sorted(path.name for path in tmp_path.glob("*b.db*")) == ["b.db"]


def test_a_damaged_database_takes_no_place(tmp_path: Path, private: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "b.db")) as connection:
        connection.execute("CREATE TABLE here (id INTEGER)")
    (private / "dump").write_bytes(b"not a dump")
    with pytest.raises(BackupError, match="damaged"):
        sqlite(tmp_path / "b.db", private).load(private / "dump")
    assert sqlite(tmp_path / "b.db", private).tables() == ["here"]


def test_there_is_no_backup_of_a_database_that_is_not_there(tmp_path: Path, private: Path) -> None:
    with pytest.raises(BackupError, match="no database"):
        sqlite(tmp_path / "none.db", private).dump(private / "dump")
    assert not (tmp_path / "none.db").exists()


@pytest.mark.services
def test_an_extension_of_the_administrator_does_not_stop_a_restore(private: Path) -> None:
    url = services.database_url("postgres")
    engine = create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    names = ("backed_up", "restored")
    role = "backup_owner"

    def clean() -> None:
        with engine.connect() as connection:
            for each in names:
                connection.execute(text(f"DROP DATABASE IF EXISTS {each}"))
            connection.execute(text(f"DROP ROLE IF EXISTS {role}"))

    clean()
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'word'"))
            for each in names:
                connection.execute(text(f"CREATE DATABASE {each} OWNER {role}"))
        with create_engine(url.set(database="backed_up"), poolclass=NullPool).begin() as connection:
            connection.execute(text("CREATE EXTENSION pg_stat_statements"))
        source, target = (Postgres(url.set(database=each, username=role, password="word"), private) for each in names)
        with create_engine(source.url, poolclass=NullPool).begin() as connection:
            connection.execute(text("CREATE TABLE people (id integer)"))
            connection.execute(text("INSERT INTO people VALUES (1)"))
        source.dump(private / "dump")
        target.load(private / "dump")
        assert target.tables() == ["people"]
        assert target.has_rows("people")
    finally:
        clean()
        engine.dispose()
