"""Values that came together with something else, such as the session, and are kept until this request asks for them."""

import functools
from typing import Any

from swiper.cache.backends import PackedSerializer
from swiper.extensions import this_g
from swiper.tallies import HIT, tallies

# The next requests of a user bring the same packed bytes, so unpacked values are kept. Callers must not change them.
_read_stored = functools.lru_cache(maxsize=2_000)(PackedSerializer().loads)


def prefetch(key: str, stored: bytes) -> None:
    """Keep for this request what Redis has under `shared_key(key)`. It was read together with something else."""
    this_g().setdefault(key, stored)


def take_prefetched(key: str) -> Any:
    """Return what `prefetch` has kept for `key`, or None.

    It is returned only once, since a later call in the same request may follow a write.
    """
    found = this_g().pop(key, None)
    if not found:
        return None
    tallies[HIT] += 1
    return _read_stored(found)
