"""The configuration of `gunicorn -c config/gunicorn_metrics.py metrics_server:app`."""

from pathlib import Path

from config.load import load_or_exit

bind = load_or_exit().metrics_bind
# In a worker of gevent, waiting for the database and for Redis has the same time limits as in the web server.
worker_class = "gevent"
workers = 1
worker_connections = 20
timeout = 30
graceful_timeout = 5
# A unix socket is for its owner and group alone.
umask = 0o117
forwarded_allow_ips = ""
# By default, it would be that of any other gunicorn of this user.
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None
accesslog = None
errorlog = "-"
loglevel = "info"
proc_name = "swiper-metrics"
