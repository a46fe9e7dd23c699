"""A strict parser of multipart forms: text that is not UTF-8 is refused, and a file needs no file name."""

from typing import Any, cast

from werkzeug.datastructures import FileStorage, Headers
from werkzeug.formparser import MultiPartParser
from werkzeug.sansio.multipart import (
    HEADER_CONTINUATION_RE,
    Data,
    Epilogue,
    Event,
    Field,
    File,
    MultipartDecoder,
    NeedData,
)

from swiper.errors import ParamError, UnsupportedBodyError

CHUNK_BYTES = 64 * 1024
# A file name has up to 255 bytes. Many long heads would be slow to parse.
MAX_HEAD_BYTES = 4096
MALFORMED = "The multipart body is malformed or cut off, or its boundary is another one."


class PartDecoder(MultipartDecoder):
    """Werkzeug's decoder, except that parts named in `file_fields` are always files."""

    file_fields: frozenset[str] = frozenset()

    def next_event(self) -> Event:
        """See Werkzeug."""
        event = super().next_event()
        if isinstance(event, Field | File) and event.name is None:
            raise UnsupportedBodyError(MALFORMED)
        if isinstance(event, Field) and event.name in self.file_fields:
            # Some clients leave the file name out.
            return File(name=event.name, filename="", headers=event.headers)
        return event

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        if len(data) > MAX_HEAD_BYTES:
            raise UnsupportedBodyError("The head of a part is too long.")
        # A file name may be in any encoding, because we never use it.
        lines = HEADER_CONTINUATION_RE.sub(b" ", data).splitlines()
        pairs = [line.decode(errors="replace").partition(":") for line in lines if line.strip(b" \t")]
        return Headers([(name.strip(" \t"), value.strip(" \t")) for name, _, value in pairs])


class PartsParser(MultiPartParser):
    """Reads the parts of a multipart form.

    Raises UnsupportedBodyError for a malformed body, ParamError for too many fields or too much text.
    """

    file_fields: frozenset[str] = frozenset()

    def parse(self, stream: Any, boundary: bytes, content_length: int | None) -> tuple[Any, Any]:
        """Return the text fields and the files of the form."""
        decoder = PartDecoder(boundary, max_form_memory_size=self.max_form_memory_size)
        decoder.file_fields = self.file_fields
        self.fields: list[tuple[str, str]] = []
        self.files: list[tuple[str, FileStorage]] = []
        self.has_begun = False
        while piece := stream.read(CHUNK_BYTES):
            self.has_begun = True
            self._take(decoder, piece, content_length)
        if self.has_begun:
            self._take(decoder, None, content_length)
        return self.cls(self.fields), self.cls(self.files)

    def _take(self, decoder: PartDecoder, piece: bytes | None, content_length: int | None) -> None:
        try:
            decoder.receive_data(piece)
            while not isinstance(event := decoder.next_event(), Epilogue | NeedData):
                self._take_event(event, content_length)
        except ValueError as error:
            raise UnsupportedBodyError(MALFORMED) from error

    def _take_event(self, event: Event, content_length: int | None) -> None:
        if isinstance(event, Field | File):
            if len(self.fields) + len(self.files) >= cast(int, self.max_form_parts):
                raise ParamError("There are too many fields.")
            self.part = event
            self.size = 0
            self.text: list[bytes] = []
            self.container = self.start_file_streaming(event, content_length) if isinstance(event, File) else None
        elif isinstance(event, Data):
            self._take_data(event)

    def _take_data(self, event: Data) -> None:
        if self.container is not None:
            self.container.write(event.data)
        else:
            self.size += len(event.data)
            if self.size > cast(int, self.max_form_memory_size):
                raise ParamError("The body is too large.", status=413)
            self.text.append(event.data)
        if not event.more_data:
            self._end_part()

    def _end_part(self) -> None:
        part = self.part
        if self.container is not None:
            self.container.seek(0)
            name = cast(File, part).filename
            self.files.append((part.name, FileStorage(self.container, name, part.name, headers=part.headers)))
        else:
            self.fields.append((part.name, self._text(part.headers)))

    def _text(self, headers: Headers) -> str:
        try:
            return b"".join(self.text).decode(self.get_part_charset(headers))
        except UnicodeDecodeError as error:
            raise UnsupportedBodyError("Text must be sent as UTF-8.") from error
