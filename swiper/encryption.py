"""Encrypts text and makes keyed digests. Each purpose has its own key, which is derived from SECRET_KEY."""

import base64
import functools
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken

from swiper.extensions import this_app


def seal(purpose: str, text: str) -> str:
    """Return `text` encrypted."""
    return _cipher(purpose).encrypt(text.encode()).decode()


def unseal(purpose: str, sealed: str) -> str | None:
    """Return the text that `seal` has encrypted for the same purpose, or None if it used another SECRET_KEY."""
    try:
        return _cipher(purpose).decrypt(sealed.encode()).decode()
    except InvalidToken:
        return None


def _cipher(purpose: str) -> Fernet:
    return _make_cipher(purpose, str(this_app().config["SECRET_KEY"]))


@functools.lru_cache(maxsize=8)
def _make_cipher(purpose: str, secret_key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(f"{purpose}:{secret_key}".encode()).digest()))


def keyed_digest(purpose: str, text: str) -> str:
    """Return a digest of `text` (64 hexadecimal digits) that cannot be computed without the application's key."""
    key = str(this_app().config["SECRET_KEY"]).encode()
    # JSON allows half of a surrogate pair, for which UTF-8 has no bytes.
    return hmac.digest(key, f"{purpose}:{text}".encode(errors="surrogatepass"), "sha256").hex()
