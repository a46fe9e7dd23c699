"""What gunicorn serves to Prometheus: `gunicorn -c config/gunicorn_metrics.py metrics_server:app`.

It is a process of its own, which is started like the web server: the public port never has this page, no request of a
person waits for it, and gunicorn limits, restarts and reloads it as operators know it.
"""

from swiper import start_app
from swiper.admin.exporter import metrics_app

app = metrics_app(start_app())
