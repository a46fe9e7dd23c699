"""The shell of the web client: the list of its files, its version, and its texts."""

import functools
import hashlib
import json
import re
from base64 import b64encode
from pathlib import Path
from typing import Any

from swiper.web.assets import Asset, make_asset

STATIC = Path(__file__).parent / "static"
ASSETS = "/assets"
STYLESHEET = "/shell.css"
PARTS = ("base", "frame", "forms", "deck", "people", "vip", "profile", "overlay")
STYLES = ("tokens.css", *(f"css/{part}.css" for part in PARTS))
# The service worker does not cache these: few people need the cropper, and the API document is another page.
NOT_CACHED = ("vendor/cropper/", "docs.js")
CACHED_SUFFIXES = (".js", ".json")
LANGUAGES = ("en", "zh")
ENTRY = "app/main.js"
IMPORT = re.compile(r'(?:from|^import) ?"(\.[^"]+)"', re.MULTILINE)


@functools.cache
def modules_behind(*entries: str) -> list[str]:
    """The modules that `entries` import statically, directly or through others; names are paths below `STATIC`.

    The page lists them, so that the browser fetches them in parallel. Otherwise it would find each import only after it
    has fetched the importing module. Dynamic imports, of screens that are opened later, are left out.
    """
    found: list[str] = []
    waiting = list(entries)
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found.append(name)
            path = STATIC / name
            targets = [(path.parent / target).resolve() for target in IMPORT.findall(path.read_text())]
            waiting += [target.relative_to(STATIC).as_posix() for target in targets]
    return [name for name in found if name != ENTRY]


@functools.cache
def stylesheet() -> Asset:
    """All stylesheets of the client in one file, which saves nine requests before the first paint."""
    return make_asset(b"\n".join((STATIC / name).read_bytes() for name in STYLES), "text/css")


@functools.cache
def shell_files() -> dict[str, str]:
    """The files that the service worker caches: by path on the site, the digest for `integrity`."""
    files = {STYLESHEET: _digest(stylesheet().body)}
    for path in sorted(STATIC.rglob("*")):
        name = path.relative_to(STATIC).as_posix()
        if path.suffix in CACHED_SUFFIXES and not name.startswith(NOT_CACHED):
            files[f"{ASSETS}/{name}"] = _digest(path.read_bytes())
    return files


def _digest(body: bytes) -> str:
    return "sha256-" + b64encode(hashlib.sha256(body).digest()).decode()


@functools.cache
def shell_version() -> str:
    """A text that changes when any of the cached files changes."""
    return hashlib.sha256(json.dumps(shell_files()).encode()).hexdigest()[:16]


@functools.cache
def catalogue(language: str) -> dict[str, Any]:
    """The texts of the web client in `language`, by key."""
    texts: dict[str, Any] = json.loads((STATIC / "messages" / f"{language}.json").read_text(encoding="utf-8"))
    return texts
