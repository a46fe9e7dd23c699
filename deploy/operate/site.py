"""Where the parts of a site lie, who owns them, and what its settings say."""

import json
import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.operate.errors import OperateError

# Linux limits the path of a unix socket to 107 bytes (unix(7)).
LONGEST_SOCKET_PATH = 107
TELL_SETTINGS = """
import json, sys
from config.load import load_or_exit
json.dump(load_or_exit().model_dump(mode="json"), sys.stdout)
"""


@dataclass(frozen=True)
class Owner:
    """The account that the site's processes run as, and that its data belong to."""

    uid: int
    gid: int

    @property
    def name(self) -> str:
        """Its name, or the number of one without."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    @property
    def home(self) -> str:
        """Its home, or / for one without."""
        try:
            return pwd.getpwuid(self.uid).pw_dir
        except KeyError:
            return "/"


@dataclass(frozen=True)
class Release:
    """One version of the code with its own environment."""

    folder: Path

    @property
    def version(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def bin(self) -> Path:
        """Where its programs lie, such as `python`, `flask` and `gunicorn`."""
        return self.folder / ".venv/bin"


@dataclass(frozen=True)
class Site:
    """The folder of one site."""

    root: Path

    @property
    def releases(self) -> Path:
        """One folder for each version."""
        return self.root / "releases"

    @property
    def current_link(self) -> Path:
        """The link to the release that runs."""
        return self.root / "current"

    @property
    def previous_link(self) -> Path:
        """The link to the release that `rollback` returns to."""
        return self.root / "previous"

    @property
    def env_file(self) -> Path:
        """The settings, which only the owner can read. Each release has a link to it."""
        return self.root / ".env"

    @property
    def instance(self) -> Path:
        """The data: uploads, the application's logs, without a database server the database. Releases link to it."""
        return self.root / "instance"

    @property
    def run(self) -> Path:
        """Pid files, sockets and the lock of the commands."""
        return self.root / "run"

    @property
    def log(self) -> Path:
        """What the processes print."""
        return self.root / "log"

    @property
    def backups(self) -> Path:
        """What `backup` writes."""
        return self.root / "backups"

    @property
    def nginx_file(self) -> Path:
        """The configuration of nginx, if `install` has written one."""
        return self.root / "nginx.conf"

    def web_socket(self, number: int) -> Path:
        """The unix socket of a web instance. Raises OperateError if its path is longer than the system allows."""
        socket = self.run / f"web-{number}.sock"
        if len(os.fsencode(socket)) > LONGEST_SOCKET_PATH:
            raise OperateError(f"{socket}: the path of a socket may have {LONGEST_SOCKET_PATH} bytes; move the site")
        return socket

    @property
    def current(self) -> Release:
        """The release that `current` links to. Raises OperateError if there is none."""
        return _linked(self.current_link)

    @property
    def previous(self) -> Release:
        """The release that `previous` links to. Raises OperateError if there is none."""
        return _linked(self.previous_link)

    @property
    def owner(self) -> Owner:
        """Who owns the data. Raises OperateError if there is no site."""
        try:
            found = self.instance.stat()
        except FileNotFoundError:
            raise OperateError(f"{self.root} is no site: it has no folder instance/ (see `install`)") from None
        return Owner(found.st_uid, found.st_gid)

    def environment(self) -> dict[str, str]:
        """The environment of the site's processes: nothing of the operator's shell, since it would win over `.env`."""
        path = os.environ.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        return {"PATH": path, "HOME": self.owner.home, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}

    def as_owner(self) -> dict[str, Any]:
        """Options of `subprocess.Popen` with which root runs a program as the owner; anybody else gets none."""
        if os.getuid():
            return {}
        owner = self.owner
        groups = [] if owner.uid == 0 else os.getgrouplist(owner.name, owner.gid)
        return {"user": owner.uid, "group": owner.gid, "extra_groups": groups} if owner.uid else {}

    def settings(self, release: Release | None = None) -> dict[str, Any]:
        """Return all settings by the names of their fields, such as `database_url`, read by the code of a release.

        The default is the current one. They hold secrets, so print none. Raises OperateError with each fault of them.
        """
        release = release or self.current
        done = subprocess.run(
            [release.bin / "python", "-c", TELL_SETTINGS],
            cwd=release.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            **self.as_owner(),
        )
        if done.returncode:
            raise OperateError(done.stderr.strip() or f"the settings cannot be read by release {release.version}")
        return dict(json.loads(done.stdout))


def _linked(link: Path) -> Release:
    if not link.is_symlink():
        raise OperateError(f"there is no {link}: no release is installed (see `release`)")
    folder = link.resolve()
    if not folder.is_dir():
        raise OperateError(f"{link} links to {folder}, which is not there")
    return Release(folder)
