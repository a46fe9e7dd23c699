"""Read request bodies, with limits on bytes and fields, and refuse malformed ones.

Werkzeug parses a malformed body as an empty form, truncates a chunked body at the limit, and replaces bytes that are
not UTF-8. This module refuses each of these.
"""

import functools
import io
from typing import Any
from urllib.parse import unquote_to_bytes

from flask import Request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header
from werkzeug.wsgi import get_content_length

from swiper.errors import ParamError, UnsupportedBodyError
from swiper.http.languages import choose_language
from swiper.http.multipart import PartsParser

JSON, FORM, MULTIPART = "application/json", "application/x-www-form-urlencoded", "multipart/form-data"
TEXT_KINDS = (JSON, FORM, MULTIPART)
UTF_8 = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
# The largest form of the API has about 20 fields.
MAX_FIELDS = 64


class BodyStream(io.RawIOBase):
    """The body of a request, read from the server's stream.

    Reading raises RequestEntityTooLarge after `most` bytes, ClientDisconnected if fewer than `length` bytes arrive, and
    ParamError for malformed chunks.
    """

    def __init__(self, source: Any, length: int | None, most: int) -> None:
        super().__init__()
        self.source = source
        self.length = length
        self.most = most
        self.seen = 0

    def readable(self) -> bool:
        """See io.RawIOBase."""
        return True

    def readall(self) -> bytes:
        """See io.RawIOBase. A body whose length is known is read without a buffer between."""
        if self.length is None:
            return super().readall()
        pieces = []
        while self.seen < self.length:
            piece = self._read(self.length - self.seen)
            if not piece:
                raise ClientDisconnected()
            self.seen += len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def readinto(self, buffer: Any) -> int:
        """See io.RawIOBase."""
        # One byte after the limit shows that the body is too long.
        end = self.most + 1 if self.length is None else self.length
        wanted = min(len(buffer), end - self.seen)
        piece = self._read(wanted) if wanted > 0 else b""
        self.seen += len(piece)
        if self.seen > self.most:
            raise RequestEntityTooLarge()
        if not piece and self.length is not None and self.seen < self.length and len(buffer):
            raise ClientDisconnected()
        buffer[: len(piece)] = piece
        return len(piece)

    def _read(self, size: int) -> bytes:
        try:
            piece: bytes = self.source.read(size)
        except ParseException as error:
            raise ParamError("The chunks of the request body are malformed.", status=400) from error
        except OSError as error:
            raise ClientDisconnected() from error
        return piece


class FormParser(FormDataParser):
    """Werkzeug's parser of forms, except that it raises an error for a malformed form."""

    file_fields: frozenset[str] = frozenset()

    def _parse_multipart(self, stream: Any, mimetype: str, content_length: int | None, options: dict[str, str]) -> Any:
        boundary = options.get("boundary", "")
        if not boundary or not boundary.isascii():
            raise UnsupportedBodyError("The multipart body has no boundary in its Content-Type.")
        parser = PartsParser(
            stream_factory=self.stream_factory,
            max_form_memory_size=self.max_form_memory_size,
            max_form_parts=MAX_FIELDS,
            cls=self.cls,
        )
        parser.file_fields = self.file_fields
        return stream, *parser.parse(stream, boundary.encode(), content_length)

    def _parse_urlencoded(self, stream: Any, mimetype: str, content_length: int | None, options: dict[str, str]) -> Any:
        return stream, self.cls(parse_form(stream.read())), self.cls()


def parse_form(body: bytes) -> list[tuple[str, str]]:
    """Return the names and values of a urlencoded form. Raises ParamError for too many fields, and for other bytes."""
    check_count(body.count(b"&") + 1)
    try:
        return [_pair(part) for part in body.split(b"&") if part]
    except UnicodeDecodeError as error:
        # Werkzeug would return an empty form, or replace the bytes with characters that nobody typed.
        raise ParamError("Text must be sent as UTF-8.", status=400) from error


def _pair(part: bytes) -> tuple[str, str]:
    """Return the name and the value of one field of a form. Raises UnicodeDecodeError."""
    name, _, value = part.replace(b"+", b" ").partition(b"=")
    return unquote_to_bytes(name).decode(), unquote_to_bytes(value).decode()


class ApiRequest(Request):
    """A request with a `language`, whose body the classes above read."""

    file_fields: frozenset[str] = frozenset()

    @functools.cached_property
    def language(self) -> str:
        """`zh` or `en`, from Accept-Language."""
        return choose_language(self.environ.get("HTTP_ACCEPT_LANGUAGE", ""))

    @functools.cached_property
    def blueprints(self) -> list[str]:
        """See Flask, which asks three times in each request. The route does not change after it was found."""
        return super().blueprints

    @functools.cached_property
    def stream(self) -> Any:
        """See Werkzeug."""
        length = get_content_length(self.environ)
        most = self.max_content_length or 0
        if length is not None and length > most:
            raise RequestEntityTooLarge()
        if length is None and not self.environ.get("wsgi.input_terminated"):
            # Without a length, this server cannot tell where a body ends, so there is none.
            return io.BytesIO()
        return BodyStream(self.environ["wsgi.input"], length, most)

    def make_form_data_parser(self) -> FormDataParser:
        """See Werkzeug."""
        parser = FormParser(
            self._get_file_stream,
            max_form_memory_size=self.max_form_memory_size,
            max_content_length=self.max_content_length,
            cls=self.parameter_storage_class,
            silent=False,
        )
        parser.file_fields = self.file_fields
        return parser


def check_count(fields: int) -> None:
    """Refuse a body or query with too many fields, before it is parsed. Raises ParamError."""
    if fields > MAX_FIELDS:
        raise ParamError("There are too many fields.")


def has_body(request: Request) -> bool:
    """True if the headers announce a body. A chunked body may still be empty."""
    length = request.environ.get("CONTENT_LENGTH")
    return length.strip("0 ") != "" if length else "HTTP_TRANSFER_ENCODING" in request.environ


def check_kind(request: Request, kinds: tuple[str, ...]) -> str:
    """Return which of the media types `kinds` the body has; empty if there is no body. Raises UnsupportedBodyError."""
    if not has_body(request):
        return ""
    kind, charset = _media_type(request.environ.get("CONTENT_TYPE", ""))
    if kind not in kinds:
        if not request.content_length and not request.stream.read(1):
            return ""
        raise UnsupportedBodyError(headers={"Accept": ", ".join(kinds)})
    if request.environ.get("HTTP_CONTENT_ENCODING", "").strip().lower() not in ("", "identity"):
        raise UnsupportedBodyError(
            "A compressed request body is not supported.", headers={"Accept-Encoding": "identity"}
        )
    if charset not in UTF_8:
        raise UnsupportedBodyError("Text must be sent as UTF-8.")
    return kind


# Clients send few different headers.
@functools.lru_cache(maxsize=200)
def _media_type(content_type: str) -> tuple[str, str]:
    """Return the media type, `JSON` for each kind of JSON, and the charset, both in small letters."""
    kind, options = parse_options_header(content_type)
    kind = kind.lower()
    is_json = kind.startswith("application/") and kind.endswith("+json")
    return JSON if is_json else kind, options.get("charset", "utf-8").strip().lower()
