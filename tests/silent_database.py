"""A server that goes silent at each step of a transaction; run by `python -m gevent.monkey`, patched like a worker.

Prints, for each number of pieces that the server sends before it goes silent, how long the caller waits in vain; the
last line is `done` once a whole transaction fits. Arguments: the database's address and the limit in seconds.
"""

import itertools
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from flask import Flask
from gevent import Timeout
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from config.settings import Settings
from swiper import create_app
from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.db.upsert import insert_if_absent
from swiper.extensions import db
from swiper.profiles.models import Tombstone
from tests.proxy import FreezableProxy

PORTS = {"postgresql": 5432, "mysql": 3306}
# A caller that waits for so long is not told at all.
FOREVER_SECONDS = 10


@transactional
def write(number: int) -> None:
    insert_if_absent(Tombstone, [{"uid": number, "deleted_at": now()}], ["uid"])


def app_at(url: str, limit: float, instance: Path) -> Flask:
    return create_app(
        Settings(
            _env_file=None,
            instance=instance,
            database_url=url,
            database_statement_seconds=limit,
            log_level="ERROR",
        )
    )


def is_done_within(pieces: int, limit: float, address: str, instance: Path) -> bool:
    """True when the whole transaction took no more than `pieces` of the server's; otherwise prints the vain wait."""
    url = make_url(address)
    with FreezableProxy(url.host or "", url.port or PORTS[url.get_backend_name()]) as proxy:
        through = url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
        app = app_at(through, limit, instance)
        with app.app_context(), Timeout(FOREVER_SECONDS):
            proxy.freeze_after(pieces)
            started = time.monotonic()
            try:
                write(pieces + 1)
            except OperationalError:
                print(f"{time.monotonic() - started:.2f}")
                return False
            finally:
                proxy.thaw()
                db.session.remove()
                db.engine.dispose()
    return True


def main() -> None:
    address, limit = sys.argv[1], float(sys.argv[2])
    with TemporaryDirectory() as folder:
        for pieces in itertools.count():
            if is_done_within(pieces, limit, address, Path(folder)):
                print("done")
                return


if __name__ == "__main__":
    main()
