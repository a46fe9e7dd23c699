"""Encrypts text and makes keyed digests. Each purpose has its own key, which is derived from SECRET_KEY.

What was encrypted or digested under a key of SECRET_KEY_FALLBACKS is still read; new things use SECRET_KEY alone.
"""

import base64
import functools
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from swiper.extensions import this_app


def secret_keys() -> list[str]:
    """Return SECRET_KEY and the keys of SECRET_KEY_FALLBACKS, each once and in this order."""
    config = this_app().config
    return list(dict.fromkeys([str(config["SECRET_KEY"]), *config["SECRET_KEY_FALLBACKS"]]))


def has_fallbacks() -> bool:
    """Return True if more than one key is in use."""
    return len(secret_keys()) > 1


def seal(purpose: str, text: str) -> str:
    """Return `text` encrypted."""
    return _make_cipher(purpose, secret_keys()[0]).encrypt(text.encode()).decode()


def unseal(purpose: str, sealed: str) -> str | None:
    """Return the text that `seal` has encrypted for the same purpose, or None if it used none of the keys."""
    return _open(purpose, sealed, secret_keys())


def is_sealed_by_fallback(purpose: str, sealed: str) -> bool:
    """Return True if SECRET_KEY does not open what `seal` has encrypted. `unseal` tells if another key does."""
    return _open(purpose, sealed, secret_keys()[:1]) is None


def _open(purpose: str, sealed: str, keys: list[str]) -> str | None:
    try:
        return MultiFernet([_make_cipher(purpose, key) for key in keys]).decrypt(sealed.encode()).decode()
    except InvalidToken:
        return None


@functools.lru_cache(maxsize=32)
def _make_cipher(purpose: str, secret_key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(f"{purpose}:{secret_key}".encode()).digest()))


def keyed_digest(purpose: str, text: str) -> str:
    """Return a digest of `text` (64 hexadecimal digits) that cannot be computed without SECRET_KEY."""
    return _digest(str(this_app().config["SECRET_KEY"]), purpose, text)


def keyed_digests(purpose: str, text: str) -> list[str]:
    """Return `keyed_digest` of `text` under each key, that of SECRET_KEY first. A stored digest may be any of them."""
    return [_digest(key, purpose, text) for key in secret_keys()]


def _digest(key: str, purpose: str, text: str) -> str:
    # JSON allows half of a surrogate pair, for which UTF-8 has no bytes.
    return hmac.digest(key.encode(), f"{purpose}:{text}".encode(errors="surrogatepass"), "sha256").hex()
