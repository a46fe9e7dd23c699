"""A site whose releases start at once: small programs in place of gunicorn, Celery and flask.

What they do is chosen by files of the release: `broken-gunicorn` and `broken-worker` end them at their start, `faults`
is what `flask check` tells.
"""

import sys
from pathlib import Path

import psutil
import pytest

from deploy.operate import supervision
from deploy.operate.main import main
from deploy.operate.pid_files import PidFiles
from deploy.operate.services import SERVICES
from deploy.operate.site import Site

PROGRAM = f"""#!{sys.executable}
import http.server, os, pathlib, signal, socketserver, sys, threading, time
name, words, here = pathlib.Path(sys.argv[0]).name, sys.argv[1:], pathlib.Path.cwd()
if name == "flask":
    with (here.parent.parent / "flask.log").open("a") as log:
        log.write(here.name + " " + " ".join(words) + "\\n")
    with (here.parent.parent / "priority.log").open("a") as log:
        log.write(" ".join(words) + f" {{os.nice(0)}}\\n")
    faults = (here / "faults").read_text() if (here / "faults").exists() and words == ["check"] else ""
    sys.stderr.write(faults)
    sys.exit(1 if faults else 0)
is_web = name == "gunicorn" and "--bind" in words
if (is_web and (here / "broken-gunicorn").exists()) or ("worker" in words and (here / "broken-worker").exists()):
    sys.exit("it is broken")
if not is_web:
    while True:
        time.sleep(60)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if (here / "not-ready").exists() else 200)
        self.end_headers()
    def log_message(self, *_):
        pass
    def address_string(self):
        return ""
path = words[words.index("--bind") + 1].removeprefix("unix:")
pathlib.Path(path).unlink(missing_ok=True)
with socketserver.UnixStreamServer(path, Handler) as server:
    server.serve_forever()
"""
LOAD = """
class Settings:
    def model_dump(self, mode):
        return {"database_url": "sqlite://"}
def load_or_exit():
    import pathlib, sys
    if "WRONG" in pathlib.Path(".env").read_text():
        sys.exit("swiper: WRONG: is no setting of Swiper")
    return Settings()
"""


class LightSite:
    """A site in `root`; `code` makes what a release is built from."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.site = Site(root / "site")
        self.root, self.capsys = root, capsys
        for folder in (self.site.releases, self.site.instance, self.site.run, self.site.log):
            folder.mkdir(parents=True)
        self.site.env_file.write_text("")
        programs = root / "environment/bin"
        programs.mkdir(parents=True)
        (programs / "python").symlink_to(sys.executable)
        for name in ("gunicorn", "celery", "flask"):
            (programs / name).write_text(PROGRAM)
            (programs / name).chmod(0o755)
        # A program that ends at its start does so within a moment.
        monkeypatch.setattr(supervision, "STEADY_SECONDS", 0.5)

    def code(self, name: str, **files: str) -> Path:
        """The code of a release with further files."""
        folder = self.root / "code" / name
        for part in ("config", "migrations", "swiper"):
            (folder / part).mkdir(parents=True)
        (folder / "wsgi.py").write_text("")
        (folder / "config/__init__.py").write_text("")
        (folder / "config/load.py").write_text(LOAD)
        for file, text in files.items():
            (folder / file.replace("_", "-")).write_text(text)
        return folder

    def release(self, name: str, *options: str, code: int = 0, **files: str) -> str:
        """What `release` prints for such code."""
        folder = self.root / "code" / name
        folder = folder if folder.exists() else self.code(name, **files)
        environment = ("--environment", str(self.root / "environment"))
        return self.swiper("release", f"{folder}/", "--name", name, *environment, *options, code=code)

    def swiper(self, *words: str, code: int = 0) -> str:
        """What `deploy/swiper` prints for these words; fails unless its exit code is `code`."""
        found = main(["--site", str(self.site.root), *words])
        printed = self.capsys.readouterr()
        assert found == code, printed.out + printed.err
        return printed.out + printed.err

    def pids(self) -> dict[str, int | None]:
        """The process of each service."""
        return {service.name: PidFiles(self.site).pid_of(service) for service in SERVICES}

    def running(self) -> set[str]:
        """The releases that processes run."""
        return {Path(psutil.Process(pid).cwd()).name for pid in self.pids().values() if pid}

    def asked(self) -> list[str]:
        """The calls of flask, as `RELEASE words`."""
        log = self.site.root / "flask.log"
        return log.read_text().splitlines() if log.exists() else []
