"""Qiniu Kodo, through its official SDK."""

from functools import cached_property
from pathlib import PurePosixPath

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
    """One bucket. All calls go to `QINIU_UPLOAD_HOST` if it is set; otherwise the SDK asks for the bucket's region."""

    name = "qiniu"

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """See `ObjectStore.put`; this is one form upload."""
        self._set_timeouts()
        bucket = self.config["QINIU_BUCKET"]
        # With a token for the whole bucket, Qiniu would answer 614 when a key is stored again.
        token = self.auth.upload_token(bucket, key)
        uploader = FormUploader(bucket, auth=self.auth, regions=self.regions, preferred_scheme=self.scheme)
        try:
            _, info = uploader.upload(
                key, data=data, file_name=PurePosixPath(key).name, mime_type=content_type, up_token=token
            )
        except Exception as error:
            # The SDK and its libraries raise many kinds of errors without a common base, some of them bare Exceptions.
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
        """The URL on the domain of the bucket."""
        return f"{self.config['QINIU_BASE_URL'].rstrip('/')}/{key}"

    @cached_property
    def auth(self) -> Auth:
        """Signs upload tokens and requests."""
        return Auth(self.config["QINIU_ACCESS_KEY"], self.config["QINIU_SECRET_KEY"])

    @property
    def scheme(self) -> str:
        """HTTPS unless the host begins with `http://`. The SDK's default would send token and photo by plain HTTP."""
        return "http" if self.config["QINIU_UPLOAD_HOST"].startswith("http://") else "https"

    @cached_property
    def regions(self) -> list[Region] | CachedRegionsProvider:
        """The hosts to call: the configured one, or those that Qiniu's region service names."""
        host = self.config["QINIU_UPLOAD_HOST"]
        if host:
            endpoint = Endpoint.from_host(host.rstrip("/"))
            return [Region(services={ServiceName.UP: [endpoint], ServiceName.RS: [endpoint]})]
        return self._queried_regions()

    def _queried_regions(self) -> CachedRegionsProvider:
        """Stored in memory. The SDK would use a file to which each user of the machine can write."""
        hosts = [get_default("default_query_region_host"), *get_default("default_query_region_backup_hosts")]
        access_key, bucket = self.config["QINIU_ACCESS_KEY"], self.config["QINIU_BUCKET"]
        query = QueryRegionsProvider(
            access_key=access_key, bucket_name=bucket, endpoints_provider=[Endpoint.from_host(host) for host in hosts]
        )
        return CachedRegionsProvider(f"{access_key}:{bucket}", query, persist_path="")

    def _set_timeouts(self) -> None:
        """Set time limit and retries for the whole process, since the SDK has no setting for one call.

        `set_default` accepts no number of retries below one.
        """
        set_default(connection_timeout=self.timeout_seconds, connection_retries=1)


def check(info: ResponseInfo, action: str) -> None:
    """Raises StorageError unless Qiniu confirms `action`. The header `X-Reqid` shows that Qiniu itself has answered."""
    if info.exception is not None:
        raise StorageError(f"qiniu {action}: {type(info.exception).__name__}")
    if not (info.ok() and info.req_id):
        raise StorageError(f"qiniu {action}: status {info.status_code}")
