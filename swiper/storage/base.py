"""The interface of all object stores."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any


class StorageError(Exception):
    """The store refused, failed or did not answer in time."""


class ObjectStore(ABC):
    """Stores files by key, and knows the URL under which browsers find them."""

    name: str
    # False if the local file itself is served, so that nothing is pushed, and the file must stay.
    is_remote = True

    def __init__(self, config: Mapping[str, Any]) -> None:
        """`config` is the application's configuration; a subclass reads its own credentials from it."""
        self.config = config
        self.timeout_seconds: float = config["STORAGE_TIMEOUT_SECONDS"]

    def get_ready(self) -> None:  # noqa: B027, since most have nothing to do
        """Do once, at the start of a process that serves requests, what would keep them waiting at the first `put`."""

    @abstractmethod
    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store `data` under `key`. Safe to repeat. Raises StorageError."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete the file of `key`; a missing one is no error. Raises StorageError."""

    @abstractmethod
    def url(self, key: str) -> str:
        """The public URL of `key`."""
