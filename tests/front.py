"""nginx as nginx/swiper.conf sets it up, on a free port before instances on free ports."""

from collections.abc import Sequence
from pathlib import Path

from config.settings import ROOT
from tests.processes import Program

CONFIG = ROOT / "nginx/swiper.conf"


def render(
    folder: Path,
    media: Path,
    port: int,
    upstreams: Sequence[int | str],
    connections: int = 256,
    *,
    has_limits: bool = False,
) -> str:
    """The configuration with values of our own in place of the documented ones.

    An upstream is a port of 127.0.0.1, or an address. Load comes from one address, so the limits of an address are
    lifted unless a test is about them.
    """
    text = CONFIG.read_text()
    (folder / "cache").mkdir()
    first, second = (each if isinstance(each, str) else f"127.0.0.1:{each}" for each in upstreams)
    values = {
        "user www-data": "user root",
        "/run/swiper-nginx.pid": folder / "nginx.pid",
        "/var/log/nginx": folder,
        "/var/cache/swiper-nginx": folder / "cache",
        "/srv/swiper/swiper/web/static": ROOT / "swiper/web/static",
        "/srv/swiper/instance/media": media,
        "/var/www/swiper-acme": folder / "acme",
        "127.0.0.1:8000": first,
        "127.0.0.1:8001": second,
        "listen 80": f"listen 127.0.0.1:{port}",
        "worker_processes auto": "worker_processes 1",
        # The limit of open files may be low.
        "worker_connections 40960": f"worker_connections {connections}",
    }
    if not has_limits:
        rates = {f"rate={rate}r/s": "rate=1000000r/s" for rate in (200, 10, 5, 500)}
        # nginx counts all requests of one turn of its loop as the same moment, whatever the rate.
        rates |= {f"burst={burst} nodelay": "burst=65000 nodelay" for burst in (100, 1000, 2000)}
        values |= rates | {"under_way 256": "under_way 65000", "uploads_under_way 32": "uploads_under_way 65000"}
    for documented, ours in values.items():
        assert documented in text, documented
        text = text.replace(documented, str(ours))
    return text


def start_nginx(folder: Path, text: str) -> Program:
    """nginx in the foreground with the configuration `text`."""
    config = folder / "nginx.conf"
    config.write_text(text)
    return Program(("nginx", "-c", config, "-g", "daemon off;"), {"PATH": "/usr/sbin:/usr/bin"}, folder / "nginx.log")
