"""gunicorn: `gunicorn -c config/gunicorn.py wsgi:app`. Reads the same settings as the application."""

import gc
from pathlib import Path

from gunicorn.http import wsgi

from config.joined_response import JoinedResponse
from config.settings import Settings

_settings = Settings()

bind = f"{_settings.host}:{_settings.port}"
worker_class = "gevent"
workers = _settings.web_concurrency
worker_connections = 1000
backlog = 2048

# nginx keeps its connections to us open; ours must outlive nginx's own idle time (60 s) or a request may meet a closed
# socket.
keepalive = 75
timeout = 30
graceful_timeout = 30

# The application counts proxies itself (TRUSTED_PROXIES, werkzeug's ProxyFix), so no header is believed here.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
# nginx replaces what it forwards; a header with an underscore can only be an attempt to pass for one of those.
header_map = "drop"
limit_request_line = 4094
limit_request_fields = 60

# The default control socket is one path for all instances of a machine.
control_socket = str(_settings.redis_socket.parent / f"gunicorn-{_settings.port}.ctl")
# Heartbeats belong into memory; where there is no such folder (macOS) the default one serves.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None
# With preload the workers would share sockets opened before gevent's patches.
preload_app = False

accesslog = None
errorlog = "-"
loglevel = "info"
# Requests leave few cycles behind; Python's default of 700 looks for them several times in each.
GC_THRESHOLD = 20_000
proc_name = f"swiper-{_settings.port}"


def post_fork(_server, _worker) -> None:  # type: ignore[no-untyped-def]
    """Answers leave in one piece; see `config/joined_response.py`."""
    wsgi.Response = JoinedResponse


def post_worker_init(worker) -> None:  # type: ignore[no-untyped-def]
    """A worker that has loaded the application says so, which `make run` waits for.

    What it has loaded stays: the garbage collector need not walk through it again and again, which stood every request
    of the worker still for a tenth of a second at a time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    worker.log.info("worker serves on %s", bind)
