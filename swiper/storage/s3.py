"""Amazon S3 and stores with its protocol, through boto3."""

from functools import cached_property
from typing import Any

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from swiper.storage.base import ObjectStore, StorageError

# A key is random and its content never changes, so browsers may keep it forever.
CACHE_CONTROL = "public, max-age=31536000, immutable"
# Amazon answers 204 for a missing key; some other stores answer 404 with one of these codes.
ABSENT = ("NoSuchKey", "404")


class S3Store(ObjectStore):
    """One bucket, at Amazon or at `S3_ENDPOINT_URL`."""

    name = "s3"

    @cached_property
    def client(self) -> Any:
        """boto3's client, which threads may share. The first call builds it, since that reads large data files."""
        # An own session, since two threads must not use boto3's default session at once.
        return Session().client(
            "s3",
            endpoint_url=self.config["S3_ENDPOINT_URL"] or None,
            region_name=self.config["S3_REGION"],
            aws_access_key_id=self.config["S3_ACCESS_KEY_ID"],
            aws_secret_access_key=self.config["S3_SECRET_ACCESS_KEY"],
            config=self._client_config(),
        )

    def get_ready(self) -> None:
        """See `ObjectStore.get_ready`."""
        _ = self.client

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """See `ObjectStore.put`."""
        try:
            self.client.put_object(
                Bucket=self.config["S3_BUCKET"],
                Key=key,
                Body=data,
                ContentType=content_type,
                CacheControl=CACHE_CONTROL,
            )
        except (BotoCoreError, ClientError, OSError, ValueError) as error:
            raise StorageError(f"s3 put: {reason(error)}") from error

    def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        try:
            self.client.delete_object(Bucket=self.config["S3_BUCKET"], Key=key)
        except (BotoCoreError, ClientError, OSError, ValueError) as error:
            if reason(error) not in ABSENT:
                raise StorageError(f"s3 delete: {reason(error)}") from error

    def url(self, key: str) -> str:
        """The URL at the bucket's public address or its CDN."""
        return f"{self.config['S3_BASE_URL'].rstrip('/')}/{key}"

    def _client_config(self) -> Config:
        return Config(
            connect_timeout=self.timeout_seconds,
            read_timeout=self.timeout_seconds,
            # The task that pushes files tries again after a pause.
            retries={"total_max_attempts": 1},
            # At a private endpoint, the name of a bucket is rarely a host name.
            s3={"addressing_style": "path" if self.config["S3_ENDPOINT_URL"] else "auto"},
            # By default boto3 adds a trailing checksum to each upload, which many other stores refuse.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )


def reason(error: Exception) -> str:
    """The store's error code, or the type of the error; never the message, which may contain parts of the request."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "unknown"))
    return type(error).__name__
