"""Encrypts with SECRET_KEY what was encrypted with a former key. Only secrets of authenticators are stored encrypted.

Codes that wait to be sent are encrypted as well, but their rows are deleted after `CODE_TTL_SECONDS`.
"""

from typing import NamedTuple

from swiper.admin.queries import second_factors as queries
from swiper.admin.second_factor import PURPOSE
from swiper.db.transactions import transactional
from swiper.encryption import is_sealed_by_fallback, seal, unseal

BATCH = 100


class Rotation(NamedTuple):
    """How many secrets were encrypted anew, were current already, and are opened by no key."""

    renewed: int = 0
    current: int = 0
    unreadable: int = 0


def rotate_secrets() -> Rotation:
    """Encrypt with SECRET_KEY all secrets of authenticators that another key has encrypted, and count them.

    Each batch is committed by itself, so this may be interrupted and run again.
    """
    done, last = Rotation(), 0
    while batch := _read_batch(last, BATCH):
        counts = _rotate_batch(batch)
        done = Rotation(*(before + more for before, more in zip(done, counts, strict=True)))
        last = batch[-1][0]
    return done


_read_batch = transactional(queries.sealed_secrets_after)


@transactional
def _rotate_batch(batch: list[tuple[int, str]]) -> Rotation:
    renewed = current = unreadable = 0
    for uid, sealed in batch:
        secret = unseal(PURPOSE, sealed)
        if secret is None:
            unreadable += 1
        elif is_sealed_by_fallback(PURPOSE, sealed):
            # A secret that the operator has replaced meanwhile stays.
            renewed += queries.replace_sealed_secret(uid, sealed, seal(PURPOSE, secret))
        else:
            current += 1
    return Rotation(renewed, current, unreadable)
