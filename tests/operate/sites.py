"""A site folder of `deploy/swiper` on the database and Redis of the test, supervised by pid files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil

from config.settings import ROOT
from deploy.operate.build import MARK
from deploy.operate.site import Site

SCRIPT = ROOT / "deploy/swiper"
CODE = ("config", "deploy", "migrations", "nginx", "swiper")
FILES = ("wsgi.py", "celery_worker.py", "metrics_server.py", "pyproject.toml", "requirements.txt")
# What a process of a site must get from `.env`, and what only the tests' own processes read.
NOT_SETTINGS = {"PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "PYTHONUNBUFFERED", "NO_PROXY", "SWIPER_INSTANCE"}


class SiteFolder:
    """A site without environments of its own: its releases link to that of the tests.

    `env` is the environment of a process of the test, as `environment_of` makes it; its settings go to `.env`.
    """

    def __init__(self, root: Path, env: dict[str, str]) -> None:
        self.site = Site(root)
        for folder in (self.site.releases, self.site.instance, self.site.run, self.site.log):
            folder.mkdir(parents=True, exist_ok=True)
        self.values = {name: value for name, value in env.items() if name not in NOT_SETTINGS}
        self.write_env()

    def write_env(self, **changes: object) -> None:
        """`.env` with the settings of the test and `changes` of them."""
        values = self.values | {name: str(value) for name, value in changes.items()}
        self.site.env_file.write_text("".join(f"{name}='{value}'\n" for name, value in values.items()))
        self.site.env_file.chmod(0o600)

    def add_release(self, version: str) -> Path:
        """A release of the code of this checkout, as `release` lays it out."""
        folder = self.site.releases / version
        copy_code(folder)
        (folder / ".venv").symlink_to(Path(sys.prefix))
        (folder / ".env").symlink_to(Path("../../.env"))
        (folder / "instance").symlink_to(Path("../../instance"))
        (folder / MARK).touch()
        return folder

    def link(self, version: str) -> None:
        """Let `current` point to a release."""
        self.site.current_link.symlink_to(Path("releases") / version)

    def swiper(self, *words: object, code: int = 0) -> str:
        """What `deploy/swiper` prints for these words; fails unless its exit code is `code`."""
        env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        command = [sys.executable, str(SCRIPT), "--site", str(self.site.root), *map(str, words)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=250)
        assert done.returncode == code, f"code {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def processes(self) -> list[psutil.Process]:
        """All processes that run the code of the site's releases."""
        found = []
        for process in psutil.process_iter(["cwd", "status"]):
            cwd = process.info["cwd"]
            if cwd and Path(cwd).is_relative_to(self.site.releases) and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    def kill_all(self) -> None:
        """Leave no process of the site, whatever a test has done."""
        for process in self.processes():
            process.kill()


def copy_code(folder: Path) -> None:
    """The code of this checkout that a release needs."""
    folder.mkdir(parents=True)
    for name in CODE:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy2(ROOT / name, folder / name)
