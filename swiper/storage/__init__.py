"""The object store that `STORAGE` names: local disk, Qiniu, or anything that speaks S3."""

from flask import Flask, current_app

from swiper.storage.base import ObjectStore, StorageError
from swiper.storage.local import LocalStore
from swiper.storage.qiniu import QiniuStore
from swiper.storage.s3 import S3Store

__all__ = ["ObjectStore", "StorageError", "init_app", "local_url", "object_store"]

STORES: dict[str, type[ObjectStore]] = {store.name: store for store in (LocalStore, QiniuStore, S3Store)}


def init_app(app: Flask) -> None:
    """Build the chosen store; an unknown name stops the start."""
    name = app.config["STORAGE"]
    if name not in STORES:
        raise ValueError(f"STORAGE knows {sorted(STORES)}, not {name!r}")
    app.config["MEDIA_DIR"].mkdir(parents=True, exist_ok=True)
    app.extensions["storage"] = STORES[name](app.config)


def object_store() -> ObjectStore:
    """The current application's store."""
    store: ObjectStore = current_app.extensions["storage"]
    return store


def local_url(key: str) -> str:
    """Where a file is found before it is pushed."""
    return f"/media/{key}"
