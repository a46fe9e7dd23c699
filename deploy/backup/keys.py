"""Keys of encrypted archives, in the files of age (https://age-encryption.org), whose format the archives have.

A backup needs the public key alone, so whoever breaks into the server cannot read the backups that are kept elsewhere.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from pyrage import IdentityError, RecipientError
from pyrage.x25519 import Identity, Recipient

from deploy.backup.errors import BackupError

BEGIN_OF_SECRET = "AGE-SECRET-KEY-"  # noqa: S105 - it is no password


def make_key(path: Path) -> str:
    """Write a new key into the file at `path`, which only its owner can read. Return the public key.

    Raises BackupError if there is a file.
    """
    identity = Identity.generate()
    public = str(identity.to_public())
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise BackupError(f"{path}: {error.strerror}") from error
    with os.fdopen(handle, "w") as file:
        file.write(f"# public key: {public}\n{identity}\n")
    return public


def read_recipients(path: Path) -> list[Recipient]:
    """Return the keys of a file to encrypt with: public keys, or those of its secret ones. Raises BackupError."""
    found = []
    for line in _lines_of(path):
        try:
            is_secret = line.upper().startswith(BEGIN_OF_SECRET)
            found.append(Identity.from_str(line).to_public() if is_secret else Recipient.from_str(line))
        except (IdentityError, RecipientError):
            raise BackupError(f"{path}: a line is no key of age (`age1…` or `{BEGIN_OF_SECRET}…`)") from None
    return found


def read_identities(path: Path) -> list[Identity]:
    """Return the secret keys of a file, to decrypt with. Raises BackupError."""
    try:
        found = [Identity.from_str(line) for line in _lines_of(path) if line.upper().startswith(BEGIN_OF_SECRET)]
    except IdentityError:
        raise BackupError(f"{path}: a line is no secret key of age") from None
    if not found:
        raise BackupError(f"{path} has no secret key (`{BEGIN_OF_SECRET}…`); a public key only encrypts")
    return found


def _lines_of(path: Path) -> Iterator[str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise BackupError(f"{path}: the file of the key cannot be read") from error
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise BackupError(f"{path} has no key")
    yield from found
