"""The configuration of nginx for a site: nginx/swiper.conf with the site's own values."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from deploy.operate.build import CHECKOUT
from deploy.operate.services import SERVICES
from deploy.operate.site import Site
from deploy.operate.steps import Steps

TEMPLATE = CHECKOUT / "nginx/swiper.conf"
CACHE = Path("/var/cache/swiper-nginx")
LOGS = Path("/var/log/nginx")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Front:
    """What clients meet: the name of the site, and with `certificate`, a folder with two files, TLS."""

    name: str
    workers: str
    certificate: Path | None


def render_nginx(site: Site, front: Front, group: str) -> str:
    """Return the configuration. nginx' workers get the site's group, for its sockets and uploads."""
    text = TEMPLATE.read_text()
    first, second = (f"unix:{site.web_socket(service.web)}" for service in SERVICES if service.web)
    values = {
        "user www-data;": f"user {front.workers} {group};",
        "/srv/swiper/swiper/web/static": f"{site.current_link}/swiper/web/static",
        "/srv/swiper/instance/media": str(site.instance / "media"),
        "/var/www/swiper-acme": str(site.root / "acme"),
        "127.0.0.1:8000": first,
        "127.0.0.1:8001": second,
        "server_name _;": f"server_name {front.name};",
    }
    if front.certificate:
        # As the comment beside it says.
        text = text.replace("        listen 80;\n        # To switch", "        # To switch").replace("#tls ", "")
        values["/etc/ssl/swiper"] = str(front.certificate)
    for documented, ours in values.items():
        if documented not in text:
            raise AssertionError(f"{documented} is not in {TEMPLATE}")
        text = text.replace(documented, ours)
    return text


def install_nginx(site: Site, steps: Steps, front: Front, group: str) -> None:
    """Write `nginx.conf` of the site and let nginx check it."""
    text = render_nginx(site, front, group)
    if site.nginx_file.exists() and site.nginx_file.read_text() == text:
        steps.say(f"{site.nginx_file} is as it should be")
    else:
        steps.write(f"write {site.nginx_file}", site.nginx_file, text)
    nginx = shutil.which("nginx", path=PATH)
    if nginx is None:
        steps.say("nginx is not installed; install it and start it with this file")
        return
    for folder in (CACHE, LOGS):
        if not folder.is_dir():
            steps.do(f"make {folder}", lambda folder=folder: folder.mkdir(parents=True))  # type: ignore[misc]
    steps.run("let nginx check its configuration", [nginx, "-t", "-q", "-c", site.nginx_file])
