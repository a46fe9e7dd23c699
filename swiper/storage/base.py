"""What every object store can do."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class StorageError(Exception):
    """The store refused, failed or did not answer in time."""


class ObjectStore(ABC):
    """Keeps uploads under a key and tells the address at which people's browsers find them."""

    name: str
    # False where the local file itself is what is served, so nothing is pushed and nothing may be removed early.
    is_remote = True

    def __init__(self, config: Mapping[str, Any]) -> None:
        """`config` is the application's configuration; a subclass reads its own credentials from it."""
        self.config = config
        self.timeout_seconds: float = config["STORAGE_TIMEOUT_SECONDS"]

    @abstractmethod
    def put(self, key: str, path: Path, content_type: str) -> None:
        """Store the file at `path` under `key`; storing it again is harmless. Raises StorageError."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove `key`; an absent one is no error. Raises StorageError."""

    @abstractmethod
    def url(self, key: str) -> str:
        """The public address of `key`."""
