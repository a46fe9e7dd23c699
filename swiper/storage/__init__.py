"""The object store that `STORAGE` names: the local disk, Qiniu, or a store with the S3 protocol."""

from flask import Flask, Request, current_app
from gevent.monkey import is_module_patched
from werkzeug.utils import import_string

from config.settings import ConfigurationError
from swiper.errors import UnavailableError
from swiper.storage.base import ObjectStore, StorageError

__all__ = ["ObjectStore", "StorageError", "init_app", "is_handed_over_at_once", "local_url", "object_store"]

# Only the chosen one is imported, as with the SMS providers.
STORES = {
    "local": "swiper.storage.local:LocalStore",
    "qiniu": "swiper.storage.qiniu:QiniuStore",
    "s3": "swiper.storage.s3:S3Store",
}


class UploadRequest(Request):
    """A request that reports a full disk: Werkzeug writes large files of a form to the temporary folder."""

    def _load_form_data(self) -> None:
        """Read the form. Raises UnavailableError if a temporary file cannot be written."""
        try:
            super()._load_form_data()
        except OSError as error:
            # An error without a number comes from gunicorn and is about a bad body.
            if error.errno is None:
                raise
            raise UnavailableError from error

    def close(self) -> None:
        """Close the files of the form. Werkzeug would read the form of each request for this; few requests have one."""
        if "files" in self.__dict__:
            super().close()


def init_app(app: Flask) -> None:
    """Build the chosen store; an unknown name stops the start."""
    app.request_class = UploadRequest
    name = app.config["STORAGE"]
    if name not in STORES:
        raise ConfigurationError(f"STORAGE knows {sorted(STORES)}, not {name!r}")
    app.config["MEDIA_DIR"].mkdir(parents=True, exist_ok=True)
    store: ObjectStore = import_string(STORES[name])(app.config)
    app.extensions["storage"] = store
    if app.config["SEVERAL_MACHINES"] and is_module_patched("socket"):
        # A web worker, which hands over pictures by itself.
        store.get_ready()


def is_handed_over_at_once() -> bool:
    """Return True if an upload goes to the store before it is answered, since no other machine could read its file."""
    return bool(current_app.config["SEVERAL_MACHINES"]) and object_store().is_remote


def object_store() -> ObjectStore:
    """The current application's store."""
    store: ObjectStore = current_app.extensions["storage"]
    return store


def local_url(key: str) -> str:
    """The address of a file before it is pushed."""
    return f"/media/{key}"
