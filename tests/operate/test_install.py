"""`install`: what it leaves on a machine, that it can be repeated, and that nothing secret is shown."""

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from config.settings import ROOT, Settings
from config.urls import with_driver
from deploy.operate import databases, install, nginx_site, units
from deploy.operate.databases import KINDS, make_database, mariadb_verifier, postgres_verifier
from deploy.operate.main import main
from deploy.operate.nginx_site import Front, render_nginx
from deploy.operate.services import SERVICES
from deploy.operate.site import Release, Site
from deploy.operate.steps import Steps
from deploy.operate.units import render_units
from tests import services

GIVEN = ("install", "--env", "development", "--database-url", "sqlite:///swiper.db", "--user", "nobody")
Install = Callable[..., str]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


@pytest.fixture
def run(site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Install:
    """Runs `install` where no systemd and no nginx is."""
    monkeypatch.setattr(units, "RUNNING", tmp_path / "no-systemd")
    monkeypatch.setattr(nginx_site, "PATH", "")

    def run(*words: str, code: int = 0) -> str:
        assert main(["--site", str(site.root), *(words or GIVEN)]) == code
        printed = capsys.readouterr()
        return printed.out + printed.err

    return run


def test_a_site_is_laid_out_for_its_account(site: Site, run: Install) -> None:
    told = run()
    values = dict(line.split("=", 1) for line in site.env_file.read_text().splitlines() if not line.startswith("#"))
    assert len(values["SECRET_KEY"]) >= 64
    assert values["SECRET_KEY"] not in told
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in site.root.iterdir()}
    assert modes == {
        ".env": 0o600, "nginx.conf": 0o644, "releases": 0o755, "acme": 0o755,
        "instance": 0o750, "run": 0o750, "log": 0o750, "backups": 0o700,
    }  # fmt: skip
    # nginx, by the group, serves the uploads.
    media = site.instance / "media"
    assert stat.S_IMODE(media.stat().st_mode) == 0o750
    if os.getuid() == 0:
        assert {name for name in modes if (site.root / name).owner() == "nobody"} == {
            ".env", "instance", "run", "log", "backups",
        }  # fmt: skip
        assert site.owner.name == media.owner() == "nobody"


def test_what_is_there_stays(site: Site, run: Install) -> None:
    run()
    site.env_file.write_text("SWIPER_ENV=development\n")
    site.nginx_file.unlink()
    told = run()
    assert "stay as they are" in told
    assert site.env_file.read_text() == "SWIPER_ENV=development\n"
    assert site.nginx_file.exists()
    assert "would" not in told


@pytest.mark.parametrize("name", ["instance", "run", "backups"])
def test_an_installation_that_was_interrupted_is_completed(
    site: Site, run: Install, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    chmod = Path.chmod

    def interrupted(path: Path, mode: int) -> None:
        if name in path.name:
            raise KeyboardInterrupt
        chmod(path, mode)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "chmod", interrupted)
        run(code=130)
    test_a_site_is_laid_out_for_its_account(site, run)


def test_a_dry_run_of_an_installation_writes_nothing(site: Site, run: Install) -> None:
    told = run("install", "--dry-run")
    assert "swiper: would make the postgresql database swiper and its role" in told
    assert f"swiper: would write {site.env_file} with a fresh key" in told
    assert not site.root.exists()


def test_a_password_among_the_arguments_is_refused(site: Site, run: Install) -> None:
    assert "seen by everybody" in run("install", "--database-url", "postgresql://a:b@c/d", code=1)
    assert "set REDIS_URL" in run(*GIVEN, "--redis", "redis://:word@127.0.0.1/0", code=1)
    assert not site.env_file.exists()


def test_settings_of_an_installation_are_those_that_the_application_reads(
    site: Site, run: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "postgresql://swiper:pass%27word#$x@127.0.0.1/swiper"
    monkeypatch.setattr("builtins.input", lambda: url)
    run("install", "--database-url", "-", "--user", "nobody")
    with site.env_file.open("a") as file:
        file.write("SMS_PROVIDERS=aliyun\n")
    for name in [name for name in os.environ if name.startswith(("DATABASE", "REDIS", "SWIPER"))]:
        monkeypatch.delenv(name)
    code = "import sys; from config.load import read_settings; from pathlib import Path\n"
    code += (
        "settings, faults = read_settings(Path(sys.argv[1])); print(settings.database_url); print(*faults, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, site.env_file], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[0].partition("://")[2] == url.partition("://")[2]
    # What is left is what only the operator has.
    assert {line.partition(":")[0] for line in lines[1:]} <= {
        "ALIYUN_ACCESS_KEY_ID", "ALIYUN_ACCESS_KEY_SECRET", "ALIYUN_SMS_SIGN_NAME", "ALIYUN_SMS_TEMPLATE_CODE",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["Robert'; DROP", "", "a b", "x" * 40, "1a"])
def test_a_name_that_is_no_name_reaches_no_server(name: str) -> None:
    with pytest.raises(install.OperateError, match="cannot be the name"):
        make_database(Steps(), "postgresql", name, ["false"], None)


def test_sql_has_no_password_but_what_the_server_keeps() -> None:
    for kind in KINDS.values():
        sql = kind.sql("swiper", "the-password")
        assert "the-password" not in sql
    # Known answers: RFC 7677's example, and MariaDB's PASSWORD('password').
    verifier = postgres_verifier("pencil", databases.base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
    stored, server = "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=", "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    assert verifier == f"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==${stored}:{server}"
    assert mariadb_verifier("password") == "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"


@pytest.mark.services
@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_database_and_a_role_are_made_on_a_real_server(kind: str) -> None:
    admin_url = make_url(services.database_url({"postgresql": "postgres"}.get(kind, kind)))
    host, port, user = admin_url.host or "", str(admin_url.port), admin_url.username or ""
    command = {
        "postgresql": ["psql", "--no-psqlrc", "--quiet", "-d", "postgres", "-h", host, "-p", port, "-U", user],
        "mariadb": ["mariadb", "--no-defaults", "-h", host, "-P", port, "-u", user],
    }[kind]
    name = f"operate_{os.getpid()}"
    engine = create_engine(with_driver(admin_url.render_as_string(hide_password=False)), isolation_level="AUTOCOMMIT")
    try:
        first = make_database(Steps(), kind, name, command, admin_url.port)
        for url in (first, make_database(Steps(), kind, name, command, admin_url.port)):
            own = create_engine(with_driver(url))
        with own.begin() as connection:
            connection.execute(text("CREATE TABLE things (id INTEGER)"))
        own.dispose()
        if kind == "mariadb":
            # The servers of the tests trust everybody on PostgreSQL.
            with pytest.raises(DBAPIError), create_engine(with_driver(first)).connect():
                pass
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name}"))
            roles = [name] if kind == "postgresql" else [f"'{name}'@'localhost'", f"'{name}'@'127.0.0.1'"]
            for role in roles:
                connection.execute(text(f"DROP {'ROLE' if kind == 'postgresql' else 'USER'} {role}"))
        engine.dispose()


def test_units_start_what_pid_files_start(site: Site) -> None:
    texts = render_units(site, "somebody", "somegroup")
    current = Release(site.current_link)
    for service in SERVICES:
        text = texts[re.sub(r"@\d+", "@", service.unit)]
        (line,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
        number = str(service.web)
        assert tuple(word.replace("%i", number) for word in shlex.split(line)) == service.command(site, current)
        assert f"\nWorkingDirectory={site.root}/current\n" in text
        assert "\nUser=somebody\nGroup=somegroup\n" in text
        assert ("\nExecReload=" in text) is service.is_gunicorn
        assert f"\nTimeoutStopSec={service.patience_seconds}\n" in text
    assert "/opt/swiper" not in "".join(texts.values())


def test_units_let_gunicorn_give_its_socket_to_its_account(site: Site) -> None:
    # It calls chown for each unix socket, and @privileged has that. What is not allowed must fail rather than kill.
    for service in SERVICES:
        text = render_units(site, "somebody", "somegroup")[re.sub(r"@\d+", "@", service.unit)]
        rules = re.findall(r"^SystemCallFilter=(.*)$", text, re.MULTILINE)
        assert rules.index("@chown") > rules.index("~@privileged @resources")
        assert "\nSystemCallErrorNumber=EPERM\n" in text


@pytest.mark.services
def test_systemd_accepts_the_units(site: Site, tmp_path: Path) -> None:
    programs = site.current_link / ".venv/bin"
    programs.mkdir(parents=True)
    for name in ("gunicorn", "celery"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    folder = tmp_path / "units"
    folder.mkdir()
    for name, unit in render_units(site, "daemon", "daemon").items():
        (folder / name).write_text(unit)
    names = [service.unit for service in SERVICES] + ["swiper-nginx.service"]
    # A unit of a template is found by that of the folder.
    paths = [folder / name for name in names]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *paths], capture_output=True, text=True, check=False, timeout=60
    )
    told = [line for line in done.stderr.splitlines() if "swiper" in line]
    assert (done.returncode, told) == (0, [])


@pytest.mark.services
@pytest.mark.parametrize("has_tls", [False, True])
def test_nginx_accepts_its_configuration(site: Site, settings: Settings, tmp_path: Path, has_tls: bool) -> None:
    from tests.nginx.test_tls import certificate

    for folder in (site.root, tmp_path / "cache", tmp_path / "logs"):
        folder.mkdir()
    certificate(tmp_path)
    text = render_nginx(site, Front("swiper.example.com", "nobody", tmp_path if has_tls else None), "nogroup")
    assert "127.0.0.1:800" not in text
    assert "/srv/swiper/" not in text.partition("user nobody nogroup;")[2]
    assert ("return 301 https" in re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)) is has_tls
    text = text.replace("/var/cache/swiper-nginx", str(tmp_path / "cache")).replace("/var/log/nginx", str(tmp_path))
    site.nginx_file.write_text(text.replace("/run/swiper-nginx.pid", str(tmp_path / "pid")))
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin") or "nginx"
    done = subprocess.run([nginx, "-t", "-c", site.nginx_file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
