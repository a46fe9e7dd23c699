"""The configuration of logging, for `logging.config.dictConfig`."""

from pathlib import Path
from typing import Any

LINE = "%(asctime)s %(levelname)-7s [%(request_id)s] %(name)s: %(message)s"


def logging_config(log_dir: Path | None, level: str) -> dict[str, Any]:
    """Return the configuration that logs to the console and, if `log_dir` is given, to files there.

    `info.log` is rotated each day (30 are kept), `error.log` each week (4 are kept). Security events are also written
    to `security.log` as lines of JSON, rotated each day (90 are kept). All workers of a machine can write and rotate
    the files, since concurrent-log-handler locks them.
    """
    handlers: dict[str, Any] = {"console": {"class": "logging.StreamHandler", "formatter": "line"}}
    everywhere, security = ["console"], []
    if log_dir:
        log_dir.mkdir(parents=True, exist_ok=True)
        handlers |= _files(log_dir)
        everywhere, security = ["console", "info", "error"], ["security"]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {"()": "swiper.logs.MaskingFormatter", "format": LINE},
            # The code that logs an event has masked it.
            "event": {"format": "%(message)s"},
        },
        "handlers": handlers,
        "root": {"level": level, "handlers": everywhere},
        "loggers": {
            "swiper.security": {"level": "INFO", "handlers": security},
            # At DEBUG it logs the EXIF data of each upload.
            "PIL": {"level": "INFO"},
            # At INFO these three log every request or every key.
            "botocore": {"level": "WARNING"},
            "urllib3": {"level": "WARNING"},
            "alibabacloud": {"level": "WARNING"},
        },
    }


def _files(log_dir: Path) -> dict[str, Any]:
    events = _file(log_dir / "security.log", level="INFO", when="midnight", kept=90)
    return {
        "info": _file(log_dir / "info.log", level="INFO", when="midnight", kept=30),
        "error": _file(log_dir / "error.log", level="ERROR", when="W0", kept=4),
        "security": events | {"formatter": "event"},
    }


def _file(path: Path, *, level: str, when: str, kept: int) -> dict[str, Any]:
    return {
        "class": "concurrent_log_handler.ConcurrentTimedRotatingFileHandler",
        "formatter": "line",
        "filename": str(path),
        "level": level,
        "when": when,
        "backupCount": kept,
        "encoding": "utf-8",
        "delay": True,
    }
