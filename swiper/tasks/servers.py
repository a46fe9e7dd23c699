"""Where Celery's queues and results are: what CELERY_BROKER_URL and CELERY_RESULT_BACKEND mean in Celery's own words.

kombu and Celery write Sentinels as several URLs, and the master's name and all passwords of Sentinels as options.
"""

from typing import Any
from urllib.parse import quote

from kombu.entity import Exchange, Queue

from config.redis_urls import RedisAddress, RedisKind, kind_of, read_redis_url
from swiper.redis_servers import sentinel_options, tls_options

# Native delayed delivery of Celery, which quorum queues need for countdowns, wants a topic.
TOPIC = "swiper-tasks"
# Seconds that a broker may take to answer.
LIMITS = {"socket_timeout": 2.0, "socket_connect_timeout": 1.0}


def broker_settings(config: Any) -> dict[str, Any]:
    """Return Celery's settings of its broker for the application's settings `config`."""
    url, key_prefix = config["CELERY_BROKER_URL"], config["KEY_PREFIX"]
    # By default kombu tries once more after 2 s, and the request waits meanwhile.
    options: dict[str, Any] = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
    # If a worker is killed, its task is delivered again after this many seconds.
    options |= {"visibility_timeout": 120}
    if url.startswith(("redis", "sentinel")):
        options |= {**LIMITS, "retry_on_timeout": False} | _prefix(key_prefix)
    if config["CELERY_QUEUE_TYPE"] == "quorum":
        # Most of the nodes that keep the queue have the message then.
        options |= {"confirm_publish": True}
    if kind_of(url) is not RedisKind.SENTINEL:
        return {"broker_url": url, "broker_transport_options": options}
    address = read_redis_url(url)
    urls = _urls_of(address)
    return {
        # Celery itself reads the variable CELERY_BROKER_URL, before the first of these and after the others.
        **dict.fromkeys(("broker_url", "broker_read_url", "broker_write_url"), urls),
        "broker_transport_options": options | _sentinel(address),
        "broker_use_ssl": _tls_of(address),
    }


def result_settings(config: Any) -> dict[str, Any]:
    """Return Celery's settings of its results for the application's settings `config`."""
    url, options = config["CELERY_RESULT_BACKEND"], _prefix(config["KEY_PREFIX"])
    if kind_of(url) is not RedisKind.SENTINEL:
        return {"result_backend": url, "result_backend_transport_options": options}
    address = read_redis_url(url)
    return {
        "result_backend": _urls_of(address),
        "result_backend_transport_options": options | _sentinel(address),
        "redis_backend_use_ssl": _tls_of(address),
    }


def queue_settings(names: tuple[str, ...], queue_type: str) -> dict[str, Any]:
    """Return Celery's settings of the queues `names`. The first is the default one.

    Quorum queues are kept by several nodes of RabbitMQ. They are declared with a topic, since their workers cannot wait
    for a task's time themselves: Celery lets RabbitMQ hold it back.
    """
    if queue_type == "classic":
        return {"task_default_queue": names[0], "task_queues": [Queue(name, routing_key=name) for name in names]}
    topic, arguments = Exchange(TOPIC, type="topic"), {"x-queue-type": "quorum"}
    return {
        "task_default_queue": names[0],
        "task_default_exchange": TOPIC,
        "task_default_exchange_type": "topic",
        "task_default_routing_key": names[0],
        "task_queues": [Queue(name, topic, routing_key=name, queue_arguments=arguments) for name in names],
    }


def _prefix(key_prefix: str) -> dict[str, Any]:
    # kombu and Celery put it before each key and channel. RabbitMQ has virtual hosts for that.
    return {"global_keyprefix": key_prefix} if key_prefix else {}


def _urls_of(address: RedisAddress) -> str:
    user, password = quote(address.user or "", safe=""), quote(address.password or "", safe="")
    login = f"{user}:{password}@" if user or password else ""
    hosts = [f"[{name}]:{port}" if ":" in name else f"{name}:{port}" for name, port in address.hosts]
    return ";".join(f"sentinel://{login}{host}/{address.database}" for host in hosts)


def _sentinel(address: RedisAddress) -> dict[str, Any]:
    return {"master_name": address.master, "sentinel_kwargs": sentinel_options(address, LIMITS)}


def _tls_of(address: RedisAddress) -> dict[str, Any] | None:
    if not address.has_tls:
        return None
    own = {name: value for name, value in tls_options(address).items() if name != "ssl"}
    # kombu and Celery take no options for no TLS.
    return {"ssl_cert_reqs": "required"} | own
