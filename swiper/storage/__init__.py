"""The object store that `STORAGE` names: local disk, Qiniu, or anything that speaks S3."""

from flask import Flask, Request, current_app
from werkzeug.utils import import_string

from config.settings import ConfigurationError
from swiper.errors import UnavailableError
from swiper.storage.base import ObjectStore, StorageError

__all__ = ["ObjectStore", "StorageError", "init_app", "local_url", "object_store"]

# Imported only where chosen, as with the SMS providers.
STORES = {
    "local": "swiper.storage.local:LocalStore",
    "qiniu": "swiper.storage.qiniu:QiniuStore",
    "s3": "swiper.storage.s3:S3Store",
}


class UploadRequest(Request):
    """A request whose large files, which Werkzeug keeps in temporary ones, may meet a full disk."""

    def _load_form_data(self) -> None:
        """Raises UnavailableError where the temporary folder takes no file."""
        try:
            super()._load_form_data()
        except OSError as error:
            # Without a number it is gunicorn's, about a body that is wrong.
            if error.errno is None:
                raise
            raise UnavailableError from error

    def close(self) -> None:
        """See Werkzeug, which goes through the files of every request; nearly none has read any."""
        if "files" in self.__dict__:
            super().close()


def init_app(app: Flask) -> None:
    """Build the chosen store; an unknown name stops the start."""
    app.request_class = UploadRequest
    name = app.config["STORAGE"]
    if name not in STORES:
        raise ConfigurationError(f"STORAGE knows {sorted(STORES)}, not {name!r}")
    app.config["MEDIA_DIR"].mkdir(parents=True, exist_ok=True)
    app.extensions["storage"] = import_string(STORES[name])(app.config)


def object_store() -> ObjectStore:
    """The current application's store."""
    store: ObjectStore = current_app.extensions["storage"]
    return store


def local_url(key: str) -> str:
    """Where a file is found before it is pushed."""
    return f"/media/{key}"
