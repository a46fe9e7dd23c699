"""Runs a command and writes down its peak of memory: `python -m bench.peak FILE PROGRAM ARGUMENT…`.

Linux lets a process begin with the peak of the one that started it (getrusage(2) across execve), so a large benchmark
cannot measure a small command. This module stands between the two, and imports nothing large.
"""

import os
import subprocess
import sys
from pathlib import Path


def main(report: str, *command: str) -> int:
    """The command's exit code; `report` then holds its peak in KB."""
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    Path(report).write_text(str(usage.ru_maxrss))
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
