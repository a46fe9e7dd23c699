"""Lists the files of `swiper/` that a reader must open to follow one request."""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from config.settings import ROOT

PACKAGE = ROOT / "swiper"


def files_of(call: Callable[[], Any]) -> list[str]:
    """Run `call` in this thread and return the files, relative to `swiper/`, of which a function or method runs.

    Code of modules and class bodies does not count, nor do functions that a library generates, such as the methods of
    a dataclass. Let the same request run once before: what it imports and loads for the first time would count too.
    """
    found: set[str] = set()

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
            found.add(frame.f_code.co_filename)

    former = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(former)
    paths = [Path(name) for name in found]
    return sorted(path.relative_to(PACKAGE).as_posix() for path in paths if path.is_relative_to(PACKAGE))
