"""The object stores against a local server that answers as Qiniu and S3 do, and files on the local disk."""

import base64
import errno
import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import qiniu.config
from qiniu.http import qn_http_client

from swiper.errors import UnavailableError
from swiper.storage.base import ObjectStore, StorageError
from swiper.storage.files import save_file
from swiper.storage.qiniu import QiniuStore
from swiper.storage.s3 import S3Store
from tests.fake_server import Answer, FakeServer, Received, refused_address

KEY = "ab/abcdef0123456789abcdef0123456789.jpg"
CONTENT = b"\xff\xd8 pretend photo \xff\xd9"
QINIU_SECRET, S3_SECRET = "qiniu-secret-key", "s3-secret-key"

# https://developer.qiniu.com/kodo/1312/upload, /1257/delete; X-Reqid tells Qiniu from any other server.
QINIU_HEADERS = {"X-Reqid": "req-1"}
QINIU_STORED = Answer(body={"hash": "Fh8xVqod2MQ1mocfI4S4KpRL6D98", "key": KEY}, headers=QINIU_HEADERS)
QINIU_DELETED = Answer(headers=QINIU_HEADERS)
QINIU_REFUSED = Answer(status=401, body={"error": f"bad token {QINIU_SECRET}"}, headers=QINIU_HEADERS)
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
S3_STORED = Answer(headers={"ETag": '"d41d8cd9"'})
S3_DELETED = Answer(status=204)


def s3_error(status: int, code: str) -> Answer:
    """S3's refusal in its own XML."""
    body = f"<Error><Code>{code}</Code><Message>no {S3_SECRET}</Message></Error>"
    return Answer(status=status, body=body.encode(), headers={"Content-Type": "application/xml"})


def make_config(address: str, **changes: Any) -> dict[str, Any]:
    """The settings of both stores, with `address` (host and port) in place of theirs."""
    return {
        "STORAGE_TIMEOUT_SECONDS": 2.0,
        "QINIU_ACCESS_KEY": "qiniu-access-key",
        "QINIU_SECRET_KEY": QINIU_SECRET,
        "QINIU_BUCKET": "photos",
        "QINIU_BASE_URL": "https://qiniu.example.com/",
        "QINIU_UPLOAD_HOST": f"http://{address}",
        "S3_ENDPOINT_URL": f"http://{address}",
        "S3_REGION": "eu-north-1",
        "S3_BUCKET": "photos",
        "S3_ACCESS_KEY_ID": "s3-access-key",
        "S3_SECRET_ACCESS_KEY": S3_SECRET,
        "S3_BASE_URL": "https://s3.example.com/",
        **changes,
    }


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No proxy or AWS profile of the machine takes part, and the Qiniu SDK's global state ends with the test."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("_config", "_is_customized_default"):
        monkeypatch.setattr(qiniu.config, name, dict(getattr(qiniu.config, name)))
    yield
    qn_http_client.session.close()


@pytest.fixture(autouse=True)
def nothing_leaks(
    own_environment: None, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """Whatever a test does: no secret key reaches any output, nor a logger at INFO, which production uses."""
    caplog.set_level(logging.INFO)
    yield
    written = capfd.readouterr()
    for secret in (QINIU_SECRET, S3_SECRET):
        assert secret not in written.out + written.err + caplog.text


def read_form(request: Received) -> dict[str, bytes]:
    """The parts of a multipart upload by name; the file's own headers stay before its content."""
    boundary = request.headers["content-type"].split("boundary=")[1].encode()
    parts = [part.strip(b"\r\n").split(b"\r\n", 1) for part in request.body.split(b"--" + boundary)[1:-1]]
    return {head.split(b'name="')[1].split(b'"')[0].decode(): rest for head, rest in parts}


def test_qiniu_receives_a_form_with_token_key_and_file() -> None:
    with FakeServer(QINIU_STORED) as server:
        QiniuStore(make_config(server.address)).put(KEY, CONTENT, "image/jpeg")
    (request,) = server.requests
    form = read_form(request)
    access_key, _, policy = form["token"].strip().decode().split(":")
    assert request.method == "POST"
    assert access_key == "qiniu-access-key"
    # Only a scope with the key in it lets the same key be stored again.
    assert json.loads(base64.urlsafe_b64decode(policy))["scope"] == f"photos:{KEY}"
    assert form["key"].strip().decode() == KEY
    assert form["file"].endswith(CONTENT)
    assert b"Content-Type: image/jpeg" in form["file"]


def test_qiniu_delete_is_signed_and_names_the_entry() -> None:
    with FakeServer(QINIU_DELETED) as server:
        QiniuStore(make_config(server.address)).delete(KEY)
    (request,) = server.requests
    entry = base64.urlsafe_b64encode(f"photos:{KEY}".encode()).decode()
    assert (request.method, request.path) == ("POST", f"/delete/{entry}")
    assert request.headers["authorization"].startswith("Qiniu qiniu-access-key:")


def test_qiniu_without_a_host_asks_for_the_region_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeServer(QINIU_STORED) as target:
        hosts = {"domains": [target.address]}
        region = {"region": "z0", "ttl": 86400, "up": hosts, "rs": hosts, "io": hosts, "rsf": hosts, "api": hosts}
        with FakeServer(Answer(body={"hosts": [region]}, headers=QINIU_HEADERS)) as query:
            qiniu.config.set_default(default_query_region_host=query.url)
            # The answer names a host without its scheme, and the local server speaks no TLS.
            monkeypatch.setattr(QiniuStore, "scheme", "http")
            store = QiniuStore(make_config(target.address, QINIU_UPLOAD_HOST=""))
            store.put(KEY, CONTENT, "image/jpeg")
            store.delete(KEY)
            assert [request.query for request in query.requests] == [{"ak": "qiniu-access-key", "bucket": "photos"}]
    assert len(target.requests) == 2


@pytest.mark.parametrize(("host", "scheme"), [("", "https"), ("up.example.com", "https"), ("http://a", "http")])
def test_qiniu_speaks_https_unless_told_otherwise(host: str, scheme: str) -> None:
    assert QiniuStore(make_config("", QINIU_UPLOAD_HOST=host)).scheme == scheme


@pytest.mark.parametrize("answer", [QINIU_REFUSED, Answer(body={"key": KEY}), Answer(status=200, body=b"<html>")])
def test_qiniu_refusal_and_a_foreign_answer_are_errors(answer: Answer) -> None:
    with FakeServer(answer) as server:
        store = QiniuStore(make_config(server.address))
        with pytest.raises(StorageError, match=f"qiniu upload: status {answer.status}"):
            store.put(KEY, CONTENT, "image/jpeg")
        with pytest.raises(StorageError, match=f"qiniu delete: status {answer.status}"):
            store.delete(KEY)


def test_s3_receives_a_signed_upload_at_the_bucket_path() -> None:
    with FakeServer(S3_STORED) as server:
        S3Store(make_config(server.address)).put(KEY, CONTENT, "image/jpeg")
    (request,) = server.requests
    assert (request.method, request.path) == ("PUT", f"/photos/{KEY}")
    assert request.body == CONTENT
    assert request.headers["content-type"] == "image/jpeg"
    assert request.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=s3-access-key/")
    assert "/eu-north-1/s3/aws4_request" in request.headers["authorization"]
    # The stores of other makers know neither chunked signatures nor trailing checksums.
    assert not {"x-amz-trailer", "x-amz-sdk-checksum-algorithm", "content-encoding"} & set(request.headers)


def test_s3_bucket_is_in_the_path_at_an_endpoint_with_a_name() -> None:
    client = S3Store(make_config("minio.example.com:9000")).client
    address = client.generate_presigned_url("get_object", Params={"Bucket": "photos", "Key": KEY})
    assert address.startswith(f"http://minio.example.com:9000/photos/{KEY}?")


def test_s3_delete_is_signed_and_names_the_key() -> None:
    with FakeServer(S3_DELETED) as server:
        S3Store(make_config(server.address)).delete(KEY)
    (request,) = server.requests
    assert (request.method, request.path) == ("DELETE", f"/photos/{KEY}")
    assert "Signature=" in request.headers["authorization"]


@pytest.mark.parametrize(
    ("store", "answer"),
    [(QiniuStore, Answer(612, {"error": "no such file"}, QINIU_HEADERS)), (S3Store, s3_error(404, "NoSuchKey"))],
)
def test_deleting_an_absent_key_is_no_error(store: type[ObjectStore], answer: Answer) -> None:
    with FakeServer(answer) as server:
        store(make_config(server.address)).delete(KEY)
    assert len(server.requests) == 1


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (404, "NoSuchBucket"), (503, "SlowDown")])
def test_s3_refusal_carries_its_own_code_and_is_not_repeated(status: int, code: str) -> None:
    with FakeServer(s3_error(status, code)) as server:
        store = S3Store(make_config(server.address))
        with pytest.raises(StorageError) as caught:
            store.put(KEY, CONTENT, "image/jpeg")
        assert str(caught.value) == f"s3 put: {code}"
        with pytest.raises(StorageError) as caught:
            store.delete(KEY)
        assert str(caught.value) == f"s3 delete: {code}"
    assert len(server.requests) == 2


@pytest.mark.parametrize("store", [QiniuStore, S3Store])
def test_slow_store_fails_at_the_time_out(store: type[ObjectStore]) -> None:
    started = time.monotonic()
    with FakeServer(Answer(delay_seconds=30)) as server, pytest.raises(StorageError):
        store(make_config(server.address, STORAGE_TIMEOUT_SECONDS=0.3)).put(KEY, CONTENT, "image/jpeg")
    assert 0.25 < time.monotonic() - started < 2.5


@pytest.mark.parametrize("store", [QiniuStore, S3Store])
def test_unreachable_store_fails(store: type[ObjectStore]) -> None:
    target = store(make_config(refused_address()))
    with pytest.raises(StorageError):
        target.put(KEY, CONTENT, "image/jpeg")
    with pytest.raises(StorageError):
        target.delete(KEY)


def test_addresses_are_built_on_the_public_base() -> None:
    assert QiniuStore(make_config("")).url(KEY) == f"https://qiniu.example.com/{KEY}"
    assert S3Store(make_config("")).url(KEY) == f"https://s3.example.com/{KEY}"


def files_below(folder: Path) -> list[Path]:
    """Every file, hidden ones too."""
    return [path for path in folder.rglob("*") if path.is_file()]


def test_saved_file_has_the_content_under_an_unguessable_key(tmp_path: Path) -> None:
    key, other = save_file(tmp_path / "media", CONTENT), save_file(tmp_path / "media", CONTENT)
    folder, name = key.split("/")
    assert key != other
    assert name.removesuffix(".jpg").startswith(folder)
    assert len(bytes.fromhex(name.removesuffix(".jpg"))) == 16
    assert (tmp_path / "media" / key).read_bytes() == CONTENT
    assert len(files_below(tmp_path)) == 2


def test_saved_file_is_readable_by_the_web_server(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        key = save_file(tmp_path, CONTENT)
    finally:
        os.umask(before)
    assert (tmp_path / key).stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def fail(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(UnavailableError):
        save_file(tmp_path, CONTENT)
    assert files_below(tmp_path) == []


def test_media_folder_that_cannot_be_made_is_told_as_unavailable(tmp_path: Path) -> None:
    (tmp_path / "media").write_text("a file where the folder should be")
    with pytest.raises(UnavailableError):
        save_file(tmp_path / "media", CONTENT)
