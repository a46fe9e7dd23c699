"""What Celery is told of its servers: Sentinels by several addresses, and TLS to all of them."""

from typing import Any

import pytest
from redis.connection import SSLConnection

from config.redis_urls import read_redis_url
from swiper.redis_servers import make_pool, sentinel_options
from swiper.tasks.servers import broker_settings, result_settings

URL = "sentinels://app:secret@h,i:26380/0?master=m"


def config(url: str) -> dict[str, Any]:
    return {"CELERY_BROKER_URL": url, "CELERY_RESULT_BACKEND": url, "CELERY_QUEUE_TYPE": "classic", "KEY_PREFIX": ""}


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ("", {"ssl_cert_reqs": "required"}),
        ("&ssl_ca_certs=/ca.pem", {"ssl_cert_reqs": "required", "ssl_ca_certs": "/ca.pem"}),
        ("&ssl_cert_reqs=optional", {"ssl_cert_reqs": "optional"}),
    ],
)
def test_tls_of_sentinels_is_that_of_celery_as_well(options: str, wanted: dict[str, str]) -> None:
    asked = config(URL + options)
    assert broker_settings(asked)["broker_use_ssl"] == wanted
    assert result_settings(asked)["redis_backend_use_ssl"] == wanted
    assert issubclass(make_pool(URL + options, {}).connection_class, SSLConnection)


def test_without_tls_there_is_none() -> None:
    plain = config(URL.replace("sentinels", "sentinel"))
    assert broker_settings(plain)["broker_use_ssl"] is None
    assert result_settings(plain)["redis_backend_use_ssl"] is None
    assert not issubclass(make_pool(plain["CELERY_BROKER_URL"], {}).connection_class, SSLConnection)


def test_what_the_url_says_of_time_limits_counts() -> None:
    url = URL + "&socket_timeout=5"
    assert make_pool(url, {"socket_timeout": 0.3}).connection_kwargs["socket_timeout"] == 5
    assert sentinel_options(read_redis_url(url), {"socket_timeout": 0.3})["socket_timeout"] == 5
