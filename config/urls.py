"""URLs of databases, of Redis and of pages, each in the form that its reader needs."""

from config.database_hosts import with_listed_hosts

DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def with_driver(url: str) -> str:
    """Return the URL of a database with a driver that yields under gevent: psycopg 3 or PyMySQL.

    Several hosts of a PostgreSQL are written in one form; see `with_listed_hosts`.
    """
    scheme, mark, rest = url.partition("://")
    drivers = {
        "postgres": "postgresql+psycopg",
        "postgresql": "postgresql+psycopg",
        "mysql": "mysql+pymysql",
        # The models have options for SQLAlchemy's dialect `mysql`, which recognises a MariaDB server by itself.
        "mariadb": "mysql+pymysql",
        "mariadb+pymysql": "mysql+pymysql",
    }
    url = drivers.get(scheme, scheme) + mark + rest
    if url.startswith("postgresql"):
        url = with_listed_hosts(url)
    if "+pymysql" in url and "charset=" not in url:
        url += ("&" if "?" in url else "?") + "charset=utf8mb4"
    return url


def normal_origin(origin: str) -> str:
    """Return an origin as browsers write it: in lower case, without a default port, without a dot after the host."""
    scheme, mark, host = origin.lower().partition("://")
    return scheme + mark + host.removesuffix(DEFAULT_PORTS.get(scheme, "")).removesuffix(".")


def for_celery(redis_url: str) -> str:
    """Return the URL of a Redis as Celery writes it: a unix socket is `redis+socket:///path?virtual_host=0`."""
    if redis_url.startswith("unix://"):
        return f"redis+socket://{redis_url.removeprefix('unix://')}?virtual_host=0"
    return redis_url
