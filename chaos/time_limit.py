"""What ends a run from outside: a signal, or its own time limit. Either way all that it started is ended."""

import signal
from types import FrameType


class TooLongError(Exception):
    """The whole run took longer than it may."""


def limit_run(seconds: int) -> None:
    """Raise TooLongError in the main thread after `seconds`, and KeyboardInterrupt on SIGTERM."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(seconds)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _give_up(_signal: int, _frame: FrameType | None) -> None:
    raise TooLongError("the run took too long")
