"""The default store: the media folder, which nginx or the web blueprint serves."""

from swiper.storage.base import ObjectStore


class LocalStore(ObjectStore):
    """Uploads are in the media folder already, so only `delete` does something."""

    name = "local"
    is_remote = False

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Do nothing."""

    def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        (self.config["MEDIA_DIR"] / key).unlink(missing_ok=True)

    def url(self, key: str) -> str:
        """A path on this host."""
        return f"/media/{key}"
