"""Tells if another site with the same SITE_NAME uses this Redis: one would take the codes and tasks of the other.

A set in Redis has digests of this site's secret keys. It belongs to the site that came first, and expires when that has
not run for a day. A site whose SECRET_KEY changes is known by a key of SECRET_KEY_FALLBACKS, and adds the new digest,
while processes that have not restarted are known by the old one.
"""

import logging
from typing import NamedTuple, cast

from redis import Redis
from redis.exceptions import RedisError

from swiper.encryption import keyed_digests
from swiper.extensions import redis, this_app

log = logging.getLogger(__name__)

KEY = "site"
LIFE_SECONDS = 86_400
# KEYS: marker. ARGV: life in seconds, then the digests of this site. Returns 0 if the marker is another site's.
CLAIM = """
local known = redis.call('EXISTS', KEYS[1]) == 0
for i = 2, #ARGV do known = known or redis.call('SISMEMBER', KEYS[1], ARGV[i]) == 1 end
if not known then return 0 end
redis.call('SADD', KEYS[1], unpack(ARGV, 2))
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
"""


class Marker(NamedTuple):
    """The key of the marker, the digests that make it ours, and what to tell if it is another site's."""

    key: str
    digests: list[str]
    fault: str

    def is_foreign(self, client: Redis) -> bool:
        """Return True if the marker is another site's. It changes nothing. Raises RedisError."""
        found = cast(set[bytes], client.smembers(self.key))
        return bool(found) and found.isdisjoint(map(str.encode, self.digests))


def own_marker() -> Marker:
    """Return the marker of the current application."""
    name, key = this_app().config["SITE_NAME"], redis.key(KEY)
    fault = (
        f"another site {f'of the name {name!r}' if name else 'without a name'} uses this Redis: give this one a "
        "SITE_NAME of its own (if it is the same site with a new SECRET_KEY, add the former one to "
        f"SECRET_KEY_FALLBACKS, or delete the key {key!r})"
    )
    return Marker(key, [digest[:32] for digest in keyed_digests("site", "")], fault)


def claim_site() -> bool:
    """Mark this Redis as ours. Return False, and log it, if another site has the name. Raises RedisError."""
    marker = own_marker()
    is_ours = bool(redis.client.eval(CLAIM, 1, marker.key, LIFE_SECONDS, *marker.digests))
    if not is_ours:
        log.error("SITE_NAME: %s", marker.fault)
    return is_ours


def claim_site_at_start() -> None:
    """Do the same, but only log that Redis is away."""
    try:
        claim_site()
    except RedisError as error:
        log.warning("whether another site uses this Redis is not known: %s", type(error).__name__)
