"""Servers that start and end together."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self


class ServerGroup:
    """A context manager. What `start` has put on the `stack` is ended at the end, also where `start` fails half-way."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made, and everything of the group is below it."""
        folder.mkdir(mode=0o755)
        self.folder, self.stack = folder, ExitStack()

    def start(self) -> None:
        """Start all servers, and return when they belong together."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.close()
