"""The secret key that is created where none is set."""

import os
import secrets
from pathlib import Path


def kept_secret(instance: Path) -> str:
    """Return the random key in the instance folder, which only its owner can read. The first call creates it."""
    path = instance / "secret-key"
    instance.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = instance / f"secret-key.{os.getpid()}.{secrets.token_hex(4)}"
    if not path.exists():
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(48))
        try:
            # Linking fails if another process was faster, so that all processes read the same key.
            os.link(fresh, path)
        except FileExistsError:
            return path.read_text()
        finally:
            fresh.unlink()
    return path.read_text()
