"""The configuration of logging, for `logging.config.dictConfig`."""

from pathlib import Path
from typing import Any

LINE = "%(asctime)s %(levelname)-7s [%(request_id)s] %(name)s: %(message)s"

MB = 1024 * 1024


def logging_config(log_dir: Path | None, level: str, form: str = "line", max_mb: int = 0) -> dict[str, Any]:
    """Return the configuration that logs to the console and, if `log_dir` is given, to files there.

    `form` is `line` or `json`. `info.log` is rotated each day (30 are kept), `error.log` each week (4 are kept).
    Security events are also written to `security.log` as lines of JSON, rotated each day (90 are kept). A file is also
    rotated when it has `max_mb` MB, unless that is 0; as many files are kept. All workers of a machine can write and
    rotate the files, since concurrent-log-handler locks them.
    """
    handlers: dict[str, Any] = {
        "console": {"class": "logging.StreamHandler", "formatter": form},
        "tally": {"class": "swiper.tallies.ErrorTally", "level": "ERROR"},
    }
    everywhere, security = ["console", "tally"], []
    if log_dir:
        log_dir.mkdir(parents=True, exist_ok=True)
        handlers |= _files(log_dir, form, max_mb * MB)
        everywhere, security = [*everywhere, "info", "error"], ["security"]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": _formatters(),
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


def gunicorn_config() -> dict[str, Any]:
    """Return the configuration of gunicorn's own log as JSON, for its setting `logconfig_dict`.

    The workers log through the application's configuration.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": _formatters(),
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"level": "INFO", "handlers": ["console"]},
        "loggers": {"gunicorn.error": {"level": "INFO", "handlers": ["console"], "propagate": False}},
    }


def _formatters() -> dict[str, Any]:
    return {
        "line": {"()": "config.log_formats.MaskingFormatter", "format": LINE},
        "json": {"()": "config.log_formats.JsonFormatter"},
        # The code that logs an event has masked it.
        "event": {"format": "%(message)s"},
    }


def _files(log_dir: Path, form: str, max_bytes: int) -> dict[str, Any]:
    files = {
        "info": ("INFO", "midnight", 30),
        "error": ("ERROR", "W0", 4),
        "security": ("INFO", "midnight", 90),
    }
    return {
        name: {
            "class": "config.log_files.NumberedFileHandler",
            "formatter": "event" if name == "security" else form,
            "filename": str(log_dir / f"{name}.log"),
            "level": level,
            "when": when,
            "backupCount": kept,
            "maxBytes": max_bytes,
            "encoding": "utf-8",
            "delay": True,
        }
        for name, (level, when, kept) in files.items()
    }
