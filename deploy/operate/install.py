"""`install`: what a site needs before its first release. It is safe to repeat; what is there stays."""

import grp
import os
import pwd
import secrets
import shlex
import shutil
from pathlib import Path

from deploy.operate.databases import KINDS, make_database
from deploy.operate.errors import OperateError
from deploy.operate.nginx_site import Front, install_nginx
from deploy.operate.registry import Arguments, argument, command
from deploy.operate.site import Site
from deploy.operate.steps import Steps, write_file
from deploy.operate.units import install_units

SETTINGS = """# The settings of this site: `deploy/swiper check` tells faults, `deploy/swiper reload` applies them.
# releases/*/.env.example lists all of them.
SWIPER_ENV={environment}
SECRET_KEY={key}
DATABASE_URL={database}
REDIS_URL={redis}
# nginx of this machine.
TRUSTED_PROXIES=1
PAYMENT_PROVIDER={payment}
"""
# Without one, production refuses to start.
PROVIDER = "# Who sends the codes, and its credentials:\n#SMS_PROVIDERS=aliyun\n"


@command(
    "install",
    argument("--user", default="swiper", help="the account of the processes (default: %(default)s)"),
    argument("--env", choices=("production", "development"), default="production", help="(default: %(default)s)"),
    argument("--database", choices=sorted(KINDS), default="postgresql", help="(default: %(default)s)"),
    argument("--database-url", metavar="URL", help="a database that is there; -: read from standard input"),
    argument("--database-name", default="swiper", help="of the database and its role (default: %(default)s)"),
    argument("--database-admin", metavar="COMMAND", default="", help="the administrator's client"),
    argument("--database-port", type=int, help="where the server listens, if not on the usual port"),
    argument("--redis", metavar="URL", default="redis://127.0.0.1:6379/0", help="(default: %(default)s)"),
    argument("--name", default="_", help="the name of the site's host; the default is any"),
    argument("--certificate", type=Path, metavar="DIR", help="a folder with fullchain.pem and privkey.pem: TLS"),
    argument("--nginx-user", default="www-data", help="the account of nginx' workers (default: %(default)s)"),
    locks=(),
)
def install(site: Site, steps: Steps, given: Arguments) -> None:
    """Make account, folders, .env with fresh secrets, database and role, nginx.conf and units. What is there stays."""
    user, group = _account(steps, given.user, site)
    _folders(site, steps, user, group)
    _settings(site, steps, given, user, group)
    install_nginx(site, steps, Front(given.name, given.nginx_user, given.certificate), group)
    install_units(site, steps, user, group)
    if given.env == "production":
        steps.say(f"set SMS_PROVIDERS and its credentials in {site.env_file}")
    steps.say("then: deploy/swiper release VERSION")


def _account(steps: Steps, wanted: str, site: Site) -> tuple[str, str]:
    """Return account and group of the processes."""
    if os.getuid():
        own = pwd.getpwuid(os.getuid())
        steps.say(f"not run by root, so the processes run as {own.pw_name}")
        return own.pw_name, grp.getgrgid(own.pw_gid).gr_name
    try:
        found = pwd.getpwnam(wanted)
    except KeyError:
        words = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        steps.run(f"make the account {wanted}", [*words, "--home-dir", str(site.root), wanted])
        return wanted, wanted
    return wanted, grp.getgrgid(found.pw_gid).gr_name


def _folders(site: Site, steps: Steps, user: str, group: str) -> None:
    """Code belongs to who installs, data to the account. nginx, by the group, reaches sockets and uploads alone."""
    own = {site.instance: 0o750, site.run: 0o750, site.log: 0o750, site.backups: 0o700}
    for folder, mode in {site.root: 0o755, site.releases: 0o755, site.root / "acme": 0o755, **own}.items():
        if not folder.is_dir():
            account = f"{user}:{group}" if folder in own else None
            steps.do(
                f"make {folder}{f' for {account}' if account else ''}",
                lambda folder=folder, mode=mode, account=account: _make(folder, mode, account),  # type: ignore[misc]
            )


def _make(folder: Path, mode: int, account: str | None) -> None:
    """Make a folder that has mode and owner as soon as it has its name: a repeated `install` lets it be."""
    fresh = folder.with_name(f".{folder.name}.new")
    # What an interrupted one has left may belong to the account already, whose links root must not follow.
    shutil.rmtree(fresh, ignore_errors=True)
    # Uploads, which nginx serves by the group. The application itself would let nobody else in.
    parts = (fresh / "media", fresh) if folder.name == "instance" else (fresh,)
    for part in parts:
        part.mkdir(parents=True, exist_ok=True)
        part.chmod(mode)
        if account and not os.getuid():
            shutil.chown(part, *account.split(":"))
    fresh.rename(folder)


def _settings(site: Site, steps: Steps, given: Arguments, user: str, group: str) -> None:
    if site.env_file.exists():
        steps.say(f"{site.env_file} is there; it and the database stay as they are")
        return
    if _has_password(given.redis):
        raise OperateError(
            "an address with a password is seen by everybody on this machine: leave --redis out and set REDIS_URL in "
            f"{site.env_file} afterwards"
        )
    url = _database_url(steps, given)
    if any(character in url + given.redis for character in "'\n\\"):
        raise OperateError(
            "an address has a quotation mark, a backslash or a line break, which is written %27, %5C, %0A"
        )
    is_production = given.env == "production"
    text = SETTINGS.format(
        environment=given.env,
        key=secrets.token_urlsafe(48),
        database=f"'{url}'",
        redis=f"'{given.redis}'",
        payment="none" if is_production else "sandbox",
    )

    def write() -> None:
        owner = None if os.getuid() else (pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid)
        write_file(site.env_file, text + (PROVIDER if is_production else ""), 0o600, owner)

    steps.do(f"write {site.env_file} with a fresh key", write)


def _has_password(url: str) -> bool:
    return ":" in url.partition("://")[2].rpartition("@")[0] or "password=" in url


def _database_url(steps: Steps, given: Arguments) -> str:
    if given.database_url == "-":
        return input().strip()
    if given.database_url:
        if _has_password(given.database_url):
            raise OperateError("an address with a password is seen by everybody on this machine: --database-url -")
        return str(given.database_url)
    admin = shlex.split(given.database_admin)
    return make_database(steps, given.database, given.database_name, admin, given.database_port)
