"""The configuration of `gunicorn -c config/gunicorn.py wsgi:app`. It uses the settings of the application."""

import gc
from pathlib import Path

from gunicorn.http import wsgi

from config.joined_response import JoinedResponse
from config.late_listening import begin_listening, listen_late
from config.limits import BACKLOG, WORKER_CONNECTIONS
from config.load import load_or_exit
from config.logging import gunicorn_config

_settings = load_or_exit()

bind = f"{_settings.host}:{_settings.port}"
worker_class = "config.graceful_worker.GracefulWorker"
workers = _settings.web_concurrency
worker_connections = WORKER_CONNECTIONS
backlog = BACKLOG

# Longer than nginx keeps an idle connection (60 s). Otherwise nginx may send a request to a closed socket.
keepalive = 75
timeout = 30
graceful_timeout = 30

# The application evaluates the headers of proxies (TRUSTED_PROXIES, werkzeug's ProxyFix). gunicorn trusts none.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
# A header with an underscore could pass for one that nginx sets, such as X_Forwarded_For.
header_map = "drop"
limit_request_line = 4094
limit_request_fields = 60

# By default, all instances on a machine would use the same path.
control_socket = str(_settings.redis_socket.parent / f"gunicorn-{_settings.port}.ctl")
# Heartbeats are files, which are kept in memory if possible. macOS has no such folder and uses the default.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None
# With preload, the workers would share sockets that were opened before gevent's patches.
preload_app = False

accesslog = None
errorlog = "-"
loglevel = "info"
logconfig_dict = gunicorn_config() if _settings.log_format == "json" else {}
# Requests leave few cycles of references. With Python's default of 700, each request starts several collections.
GC_THRESHOLD = 20_000
proc_name = f"swiper-{_settings.port}"


def on_starting(_server) -> None:  # type: ignore[no-untyped-def]
    """Bind now, listen when the application is loaded; see `config/late_listening.py`."""
    listen_late()


def post_fork(_server, _worker) -> None:  # type: ignore[no-untyped-def]
    """Send each response in one piece; see `config/joined_response.py`. Collect no garbage while the application loads.

    What is loaded stays. To look through it again and again took a quarter of a worker's start.
    """
    wsgi.Response = JoinedResponse
    gc.disable()


def post_worker_init(worker) -> None:  # type: ignore[no-untyped-def]
    """Exclude the loaded application from garbage collection, and let the instance serve.

    Without the first, each full collection stopped all requests of the worker for a tenth of a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    gc.enable()
    begin_listening(worker.sockets)
    # The command line may have named another address.
    worker.log.info("worker serves on %s", ", ".join(worker.cfg.bind))
