"""Text files for browsers: compressed once, kept in memory, with an ETag of their contents.

nginx serves these files itself. This is for browsers that ask gunicorn directly, for some forty files on a first visit.
"""

import functools
import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from flask import Request, Response

COMPRESSED_SUFFIXES = {".css", ".js", ".json", ".svg"}
# A smaller file would hardly shrink.
MIN_BYTES = 400
LEVEL = 9


@dataclass(frozen=True)
class Asset:
    """A file as it is sent; `compressed` is its gzip form, None for small files."""

    body: bytes
    compressed: bytes | None
    mimetype: str
    tag: str


def make_asset(body: bytes, mimetype: str) -> Asset:
    """The asset of `body`, compressed unless it is small."""
    compressed = gzip.compress(body, LEVEL, mtime=0) if len(body) >= MIN_BYTES else None
    return Asset(body, compressed, mimetype, hashlib.sha256(body).hexdigest()[:32])


def find_asset(folder: Path, name: str) -> Asset | None:
    """The text file `name` below `folder`; None for other files, and for names that lead out of the folder."""
    if "\0" in name or Path(name).suffix not in COMPRESSED_SUFFIXES:
        return None
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        return None
    return _read(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _read(path: Path, _changed: int) -> Asset:
    return make_asset(path.read_bytes(), mimetypes.guess_type(path.name)[0] or "text/plain")


def serve_asset(asset: Asset, asked: Request) -> Response:
    """The response to the request `asked`, possibly 304. Browsers keep the file and ask each time if it has changed.

    The ETag is weak, because both forms of the contents have the same one.
    """
    is_compressed = asset.compressed is not None and asked.accept_encodings.quality("gzip") > 0
    response = Response(asset.compressed if is_compressed else asset.body, mimetype=asset.mimetype)
    if is_compressed:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Cache-Control"] = "no-cache"
    response.vary.add("Accept-Encoding")
    response.set_etag(asset.tag, weak=True)
    response.make_conditional(asked)
    return response
