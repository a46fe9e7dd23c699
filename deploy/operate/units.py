"""The units of systemd and the limits of the kernel, as `install` puts them in place for a site."""

from pathlib import Path

from deploy.operate.build import CHECKOUT
from deploy.operate.errors import OperateError
from deploy.operate.services import SERVICES
from deploy.operate.site import Site
from deploy.operate.steps import Steps
from deploy.operate.systemd import RUNNING, UNITS

SOURCE = CHECKOUT / "deploy/systemd"
SYSCTL = Path("/etc/sysctl.d/60-swiper.conf")
# As they stand in the files.
FOLDER, ACCOUNT = "/opt/swiper", "swiper"


def render_units(site: Site, user: str, group: str) -> dict[str, str]:
    """Return the text of each unit by its name, for a site of this account."""
    texts = {}
    for path in sorted(SOURCE.glob("*.service")):
        text = path.read_text().replace(FOLDER, str(site.root))
        texts[path.name] = text.replace(f"User={ACCOUNT}\nGroup={ACCOUNT}\n", f"User={user}\nGroup={group}\n")
    return texts


def install_units(site: Site, steps: Steps, user: str, group: str) -> None:
    """Put the units in place and let systemd start them with the machine; without systemd, say what is left to do."""
    if not RUNNING.is_dir():
        steps.say(
            f"no systemd runs here: processes have pid files, and `{site.root}/current/deploy/swiper start` starts them"
        )
        return
    for name, text in render_units(site, user, group).items():
        path = UNITS / name
        if path.exists() and f"{site.root}/" not in path.read_text():
            raise OperateError(f"{path} is that of another site; a second one on this machine runs without units")
        _write(steps, path, text)
    _write(steps, SYSCTL, (SOURCE / SYSCTL.name).read_text())
    steps.run("apply the limits of the kernel", ["sysctl", "--quiet", "--load", SYSCTL])
    steps.run("let systemd read its units", ["systemctl", "daemon-reload"])
    names = [service.unit for service in SERVICES]
    steps.run("start them with the machine", ["systemctl", "enable", "--quiet", *names, "swiper-nginx.service"])


def _write(steps: Steps, path: Path, text: str) -> None:
    if path.exists() and path.read_text() == text:
        steps.say(f"{path} is as it should be")
    else:
        steps.write(f"write {path}", path, text)
