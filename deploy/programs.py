"""The command lines of the programs that serve, as both `make run` and `deploy/swiper` start them."""

from pathlib import Path

CELERY_THREADS = 8


def gunicorn_command(programs: Path, root: Path, *options: str) -> tuple[str, ...]:
    """The web server. `programs` is the folder of its environment's programs, `root` that of the code."""
    return (str(programs / "gunicorn"), "--config", str(root / "config/gunicorn.py"), *options, "wsgi:app")


def metrics_command(programs: Path, root: Path) -> tuple[str, ...]:
    """The server of `/metrics`."""
    return (str(programs / "gunicorn"), "--config", str(root / "config/gunicorn_metrics.py"), "metrics_server:app")


def worker_command(programs: Path, root: Path, *options: str) -> tuple[str, ...]:
    """The Celery worker."""
    return (
        *_celery(programs, root, "worker"),
        *("--pool", "threads", "--concurrency", str(CELERY_THREADS), *options),
        *("--without-gossip", "--without-mingle", "--loglevel", "info"),
    )


def beat_command(programs: Path, root: Path) -> tuple[str, ...]:
    """Celery's clock, of which one runs for a site. Its pid file would outlive a machine that loses power."""
    return (*_celery(programs, root, "beat"), "--pidfile", "", "--loglevel", "info")


def _celery(programs: Path, root: Path, program: str) -> tuple[str, ...]:
    return (str(programs / "celery"), "--quiet", "--workdir", str(root), "--app", "celery_worker", program)
