"""Flask-Limiter's counts, kept by a client of the application's own making: one Redis, Sentinels or a cluster."""

from typing import Any

from limits.storage import RedisStorage

from swiper.redis_client import AppRedis

SCHEME = "swiper"


class OwnRedisStorage(RedisStorage):
    """The storage of `limits` for Redis, with a client that exists already. Each count is one script of one key."""

    STORAGE_SCHEME = [SCHEME]

    def __init__(self, uri: str, client: AppRedis, key_prefix: str, **options: Any) -> None:
        """`options` are those of each storage of `limits`."""
        # RedisStorage would make a client of its own.
        super(RedisStorage, self).__init__(uri, **options)
        self.key_prefix = key_prefix
        self.target_server = "redis"
        self.dependency = self.dependencies["redis"].module
        self.storage = client
        self.initialize_storage(uri)
