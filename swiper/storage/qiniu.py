"""Qiniu Kodo, through its official SDK."""

from functools import cached_property
from pathlib import Path

from qiniu import Auth, BucketManager
from qiniu.config import get_default, set_default
from qiniu.http.endpoint import Endpoint
from qiniu.http.region import Region, ServiceName
from qiniu.http.regions_provider import CachedRegionsProvider, QueryRegionsProvider
from qiniu.http.response import ResponseInfo
from qiniu.services.storage.uploaders import FormUploader

from swiper.storage.base import ObjectStore, StorageError

# https://developer.qiniu.com/fusion/kb/1352/the-http-request-return-a-status-code: the file does not exist.
ABSENT = 612


class QiniuStore(ObjectStore):
    """One bucket. With `QINIU_UPLOAD_HOST` every call goes there, otherwise the SDK asks for the bucket's region."""

    name = "qiniu"

    def put(self, key: str, path: Path, content_type: str) -> None:
        """One form upload; see `ObjectStore.put`."""
        self._set_timeouts()
        bucket = self.config["QINIU_BUCKET"]
        # A token for the bucket alone only creates: Qiniu would answer 614 when a key is stored again.
        token = self.auth.upload_token(bucket, key)
        uploader = FormUploader(bucket, auth=self.auth, regions=self.regions, preferred_scheme=self.scheme)
        try:
            _, info = uploader.upload(key, file_path=str(path), mime_type=content_type, up_token=token)
        except Exception as error:
            # The SDK and the libraries below it raise errors of many families, bare ones among them.
            raise StorageError(f"qiniu upload: {type(error).__name__}") from error
        check(info, "upload")

    def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        self._set_timeouts()
        manager = BucketManager(self.auth, regions=self.regions, preferred_scheme=self.scheme)
        try:
            _, info = manager.delete(self.config["QINIU_BUCKET"], key)
        except Exception as error:
            raise StorageError(f"qiniu delete: {type(error).__name__}") from error
        if info.status_code != ABSENT:
            check(info, "delete")

    def url(self, key: str) -> str:
        """On the domain that is bound to the bucket."""
        return f"{self.config['QINIU_BASE_URL'].rstrip('/')}/{key}"

    @cached_property
    def auth(self) -> Auth:
        """Signs upload tokens and requests."""
        return Auth(self.config["QINIU_ACCESS_KEY"], self.config["QINIU_SECRET_KEY"])

    @property
    def scheme(self) -> str:
        """HTTPS unless the host says otherwise: the SDK's own default is plain HTTP, for the token and the photo."""
        return "http" if self.config["QINIU_UPLOAD_HOST"].startswith("http://") else "https"

    @cached_property
    def regions(self) -> list[Region] | CachedRegionsProvider:
        """Where to send what: the configured host, or the answer of Qiniu's region service."""
        host = self.config["QINIU_UPLOAD_HOST"]
        if host:
            endpoint = Endpoint.from_host(host.rstrip("/"))
            return [Region(services={ServiceName.UP: [endpoint], ServiceName.RS: [endpoint]})]
        return self._queried_regions()

    def _queried_regions(self) -> CachedRegionsProvider:
        """The SDK would keep the answer in a file that every user of the machine may write; this keeps it in memory."""
        hosts = [get_default("default_query_region_host"), *get_default("default_query_region_backup_hosts")]
        access_key, bucket = self.config["QINIU_ACCESS_KEY"], self.config["QINIU_BUCKET"]
        query = QueryRegionsProvider(
            access_key=access_key, bucket_name=bucket, endpoints_provider=[Endpoint.from_host(host) for host in hosts]
        )
        return CachedRegionsProvider(f"{access_key}:{bucket}", query, persist_path="")

    def _set_timeouts(self) -> None:
        """The uploader and the manager take neither from their callers: the SDK has one setting for the process.

        One is the least number of retries that `set_default` accepts.
        """
        set_default(connection_timeout=self.timeout_seconds, connection_retries=1)


def check(info: ResponseInfo, action: str) -> None:
    """Raises StorageError unless Qiniu itself, which marks its answers with `X-Reqid`, says that `action` is done."""
    if info.exception is not None:
        raise StorageError(f"qiniu {action}: {type(info.exception).__name__}")
    if not (info.ok() and info.req_id):
        raise StorageError(f"qiniu {action}: status {info.status_code}")
