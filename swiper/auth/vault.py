"""Text that is stored encrypted, under a key of its own for each purpose, all derived from SECRET_KEY."""

import base64
import functools
import hashlib

from cryptography.fernet import Fernet, InvalidToken

from swiper.extensions import this_app


def seal(purpose: str, text: str) -> str:
    """`text` encrypted."""
    return _vault_of(purpose, str(this_app().config["SECRET_KEY"])).encrypt(text.encode()).decode()


def unseal(purpose: str, sealed: str) -> str | None:
    """What `seal` has encrypted for the same purpose; None where it was under another SECRET_KEY."""
    try:
        return _vault_of(purpose, str(this_app().config["SECRET_KEY"])).decrypt(sealed.encode()).decode()
    except InvalidToken:
        return None


@functools.lru_cache(maxsize=8)
def _vault_of(purpose: str, secret_key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(f"{purpose}:{secret_key}".encode()).digest()))
