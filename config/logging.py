"""What is logged where, for `logging.config.dictConfig`."""

from pathlib import Path
from typing import Any

LINE = "%(asctime)s %(levelname)-7s [%(request_id)s] %(name)s: %(message)s"


def logging_config(log_dir: Path | None, level: str) -> dict[str, Any]:
    """Console, plus `info` (a file a day, 30 kept) and `error` (a file a week, 4 kept) below `log_dir`.

    Security events go to `security` (a file a day, 90 kept) as well, as bare JSON.

    concurrent-log-handler locks the files, so that all workers of a machine may write and rotate them.
    """
    handlers: dict[str, Any] = {"console": {"class": "logging.StreamHandler", "formatter": "line"}}
    security: dict[str, Any] = {"level": "INFO"}
    if log_dir:
        log_dir.mkdir(parents=True, exist_ok=True)
        handlers["info"] = _file(log_dir / "info.log", level="INFO", when="midnight", kept=30)
        handlers["error"] = _file(log_dir / "error.log", level="ERROR", when="W0", kept=4)
    everywhere = list(handlers)
    if log_dir:
        events = _file(log_dir / "security.log", level="INFO", when="midnight", kept=90)
        handlers["security"] = events | {"formatter": "event"}
        security["handlers"] = ["security"]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {"()": "swiper.logs.MaskingFormatter", "format": LINE},
            # Whoever writes an event has masked it.
            "event": {"format": "%(message)s"},
        },
        "handlers": handlers,
        "root": {"level": level, "handlers": everywhere},
        "loggers": {
            "swiper.security": security,
            # At DEBUG it tells what is in the EXIF block of each upload.
            "PIL": {"level": "INFO"},
            # These three name every request or every key at INFO.
            "botocore": {"level": "WARNING"},
            "urllib3": {"level": "WARNING"},
            "alibabacloud": {"level": "WARNING"},
        },
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
