"""Text files for browsers: packed once, kept in memory, and named by their contents.

Behind nginx none of this is asked for; where browsers come to gunicorn directly, a first visit is some forty files.
"""

import functools
import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from flask import Request, Response

PACKED_KINDS = {".css", ".js", ".json", ".svg"}
# Below this a packed file is hardly smaller.
LEAST_BYTES = 400
LEVEL = 9


@dataclass(frozen=True)
class Asset:
    """A file as it is sent: `packed` by gzip for those who can read that."""

    body: bytes
    packed: bytes | None
    mimetype: str
    tag: str


def make_asset(body: bytes, mimetype: str) -> Asset:
    """An asset of `body`, packed where that is worth it."""
    packed = gzip.compress(body, LEVEL, mtime=0) if len(body) >= LEAST_BYTES else None
    return Asset(body, packed, mimetype, hashlib.sha256(body).hexdigest()[:32])


def find_asset(folder: Path, name: str) -> Asset | None:
    """The text file `name` below `folder`; None for anything else, whatever the name leads to."""
    if "\0" in name or Path(name).suffix not in PACKED_KINDS:
        return None
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        return None
    return _read(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _read(path: Path, _changed: int) -> Asset:
    return make_asset(path.read_bytes(), mimetypes.guess_type(path.name)[0] or "text/plain")


def serve_asset(asset: Asset, asked: Request) -> Response:
    """The answer to `asked`: browsers keep it and ask each time whether it has changed.

    The tag is a weak one, since it names the contents in both forms.
    """
    is_packed = asset.packed is not None and asked.accept_encodings.quality("gzip") > 0
    response = Response(asset.packed if is_packed else asset.body, mimetype=asset.mimetype)
    if is_packed:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Cache-Control"] = "no-cache"
    response.vary.add("Accept-Encoding")
    response.set_etag(asset.tag, weak=True)
    response.make_conditional(asked)
    return response
