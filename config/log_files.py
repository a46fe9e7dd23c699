"""Log files that are rotated by time and by size."""

import re
from pathlib import Path

from concurrent_log_handler import ConcurrentTimedRotatingFileHandler


class NumberedFileHandler(ConcurrentTimedRotatingFileHandler):
    """Gives each rotated file of a day a higher number than all others of that day.

    The library takes the lowest free number. After it has deleted the first file of a day, it would use that number
    again, and would delete the newest file as the oldest.
    """

    def rotation_filename(self, default_name: str) -> str:
        """Return `default_name`, or with a number behind it if the day has rotated files already."""
        wanted = Path(default_name)
        named = re.compile(rf"{re.escape(wanted.name)}(?:\.(\d+))?")
        found = [match for each in wanted.parent.iterdir() if (match := named.fullmatch(each.name))]
        return f"{default_name}.{max(int(match[1] or 0) for match in found) + 1}" if found else default_name
