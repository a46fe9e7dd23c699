"""The default store: the media folder itself, served by nginx or by the web blueprint."""

from pathlib import Path

from swiper.storage.base import ObjectStore


class LocalStore(ObjectStore):
    """Files already lie where they belong; only removal has something to do."""

    name = "local"
    is_remote = False

    def put(self, key: str, path: Path, content_type: str) -> None:
        """Nothing to push."""

    def delete(self, key: str) -> None:
        """Remove the file."""
        (self.config["MEDIA_DIR"] / key).unlink(missing_ok=True)

    def url(self, key: str) -> str:
        """A path on this host."""
        return f"/media/{key}"
