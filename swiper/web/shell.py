"""The shell of the web client: which files it consists of, and what tells one release from another."""

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
# Not kept for later: what few need and what belongs to other pages.
UNKEPT = ("vendor/cropper/", "docs.js")
KEPT_KINDS = (".js", ".json")
LANGUAGES = ("en", "zh")
ENTRY = "app/main.js"
IMPORT = re.compile(r'(?:from|^import) ?"(\.[^"]+)"', re.MULTILINE)


@functools.cache
def modules_behind(*entries: str) -> list[str]:
    """The modules that `entries` import at once, and what those import: a browser finds each only in the one before.

    Named in the page they are all fetched side by side. Screens that are opened later are imported later.
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
    """All the client's stylesheets as one: nine requests less before anything is painted."""
    return make_asset(b"\n".join((STATIC / name).read_bytes() for name in STYLES), "text/css")


@functools.cache
def shell_files() -> dict[str, str]:
    """Every file that the service worker keeps, by its path on the site: its digest for `integrity`."""
    kept = {STYLESHEET: _digest(stylesheet().body)}
    for path in sorted(STATIC.rglob("*")):
        name = path.relative_to(STATIC).as_posix()
        if path.suffix in KEPT_KINDS and not name.startswith(UNKEPT):
            kept[f"{ASSETS}/{name}"] = _digest(path.read_bytes())
    return kept


def _digest(body: bytes) -> str:
    return "sha256-" + b64encode(hashlib.sha256(body).digest()).decode()


@functools.cache
def shell_version() -> str:
    """Another one as soon as any of the kept files is another."""
    return hashlib.sha256(json.dumps(shell_files()).encode()).hexdigest()[:16]


@functools.cache
def catalogue(language: str) -> dict[str, Any]:
    """The texts of the web client in `language`, by key."""
    texts: dict[str, Any] = json.loads((STATIC / "messages" / f"{language}.json").read_text(encoding="utf-8"))
    return texts
