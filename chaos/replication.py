"""Replicas of PostgreSQL and MariaDB that follow a server of our own, and PgBouncer before one."""

import configparser
import subprocess
from collections.abc import Sequence
from pathlib import Path

from chaos.servers import DatabaseServer, MariaDB, Postgres, as_user, run
from config.settings import ROOT


class SyncPostgres(Postgres):
    """A primary that acknowledges nothing which no standby has stored."""

    def command(self) -> Sequence[object]:
        """See `Server`."""
        return (*super().command(), "-c", "synchronous_standby_names=*")


class Standby(Postgres):
    """A streaming replica, `settings` of which are given on its command line; it can be promoted."""

    def __init__(self, folder: Path, primary: Postgres, *settings: str) -> None:
        # Its data is a copy of the primary's, so there is no initdb.
        DatabaseServer.__init__(self, folder)
        self.bin, self.settings = primary.bin, settings
        self._run("pg_basebackup", "-h", "127.0.0.1", "-p", primary.port, "-U", "postgres", "-D", self.data)

    @property
    def data(self) -> Path:
        """Its files."""
        return self.folder / "data"

    def _run(self, program: str, *arguments: object) -> None:
        options = ("-R", "-X", "stream", "--checkpoint=fast", "--no-sync") if program == "pg_basebackup" else ()
        run(*as_user(self.user), self.bin / program, *arguments, *options)

    def command(self) -> Sequence[object]:
        """See `Server`."""
        return (*super().command(), *(word for each in self.settings for word in ("-c", each)))

    def promote(self) -> None:
        """Let it take writes; returns when it does."""
        self._run("pg_ctl", "promote", "-w", "-D", self.data)


class LoggedMariaDB(MariaDB):
    """A primary with a binary log."""

    def command(self) -> Sequence[object]:
        """See `Server`."""
        return (*super().command(), "--server-id=1", "--log-bin", "--binlog-format=row")


class MariaDBReplica(MariaDB):
    """A replica that follows from the beginning of the primary's log."""

    def __init__(self, folder: Path, primary: LoggedMariaDB) -> None:
        super().__init__(folder)
        self.primary = primary

    def command(self) -> Sequence[object]:
        """See `Server`."""
        return (*super().command(), "--server-id=2", "--read-only")

    def follow(self) -> None:
        """Begin to replicate."""
        self.execute(
            f"CHANGE MASTER TO master_host='127.0.0.1', master_port={self.primary.port}, master_user='root',"
            " master_use_gtid=slave_pos"
        )
        self.execute("START SLAVE")


class PgBouncer(Postgres):
    """PgBouncer before a PostgreSQL, started from `deploy/ha/pgbouncer.ini`; it leads to one database."""

    def __init__(self, folder: Path, server: DatabaseServer, database: str) -> None:
        DatabaseServer.__init__(self, folder)
        settings, users = configparser.ConfigParser(), folder / "userlist.txt"
        settings.read(ROOT / "deploy/ha/pgbouncer.ini")
        users.write_text('"postgres" ""\n')
        settings["databases"] = {database: f"host=127.0.0.1 port={server.port} dbname={database}"}
        settings["pgbouncer"].update(listen_port=str(self.port), auth_file=str(users), auth_type="trust")
        self.file, self.database = folder / "pgbouncer.ini", database
        with self.file.open("w") as file:
            settings.write(file)

    def command(self) -> Sequence[object]:
        """See `Server`."""
        return (*as_user(self.user), "/usr/sbin/pgbouncer", self.file)

    @property
    def admin_url(self) -> str:
        """See `DatabaseServer`."""
        return self.url(self.database)

    @property
    def pooler_version(self) -> str:
        """Such as `PgBouncer 1.18.0`."""
        told = subprocess.run(["/usr/sbin/pgbouncer", "--version"], capture_output=True, text=True, check=True)
        return told.stdout.splitlines()[0]
