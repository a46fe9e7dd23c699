"""Pictures that are damaged, too large, or carry something else are refused or lose it."""

import struct
import time
import zipfile
from io import BytesIO

import pytest
from PIL import Image

from swiper.storage.images import MAX_SIDE, TOO_MANY_PIXELS, UNREADABLE, clean_image
from swiper.storage.jpeg import MAX_SCANS, MAX_SEGMENTS, START_OF_SCAN, segments
from swiper.storage.png import MAX_CHUNKS
from tests.storage.cleaning import LIMITS, clean, corners, noise, png_header, quadrants, refusal
from tests.storage.samples import (
    chunk,
    encode,
    riff,
)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.7, 0.99])
def test_truncated_file_is_refused(kind: str, kept: float) -> None:
    data = encode(noise(), kind)
    assert refusal(data[: int(len(data) * kept)]) == {"photo": [UNREADABLE]}


def test_damaged_png_chunk_is_refused() -> None:
    data = bytearray(encode(noise(), "PNG"))
    data[data.rindex(b"IEND") - 5] ^= 1
    Image.open(BytesIO(data)).load()
    assert refusal(bytes(data)) == {"photo": [UNREADABLE]}


def test_pixels_are_counted_before_decoding() -> None:
    assert refusal(encode(Image.new("1", (300, 200)), "PNG"), max_pixels=59_999) == {"photo": [TOO_MANY_PIXELS]}
    assert clean(encode(Image.new("1", (300, 200)), "PNG"), max_pixels=60_000).size == (300, 200)


@pytest.mark.parametrize("size", [(7000, 7000), (10_000, 10_000), (65_535, 65_535), (2**31 - 1, 2**31 - 1)])
def test_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    started = time.process_time()
    assert refusal(png_header(*size)) == {"photo": [TOO_MANY_PIXELS]}
    assert time.process_time() - started < 0.5


def test_sides_are_counted_beside_pixels() -> None:
    assert clean(encode(Image.new("1", (1, MAX_SIDE)), "PNG")).size == (1, 1440)
    assert refusal(encode(Image.new("1", (1, MAX_SIDE + 1)), "PNG")) == {"photo": [TOO_MANY_PIXELS]}
    assert refusal(encode(Image.new("1", (MAX_SIDE + 1, 1)), "PNG")) == {"photo": [TOO_MANY_PIXELS]}


def test_jpeg_of_many_segments_is_refused_wherever_they_stand() -> None:
    data, comment = encode(quadrants(), "JPEG"), b"\xff\xfe\x00\x02"
    assert clean(data[:2] + comment * (MAX_SEGMENTS - 20) + data[2:]).size == (64, 32)
    assert refusal(data[:2] + comment * MAX_SEGMENTS + data[2:]) == {"photo": [UNREADABLE]}
    assert refusal(data[:-2] + comment * MAX_SEGMENTS + data[-2:]) == {"photo": [UNREADABLE]}


def test_png_of_many_chunks_is_refused() -> None:
    data, text = encode(quadrants(), "PNG"), chunk(b"tEXt", b"")
    assert clean(data[:33] + text * (MAX_CHUNKS - 10) + data[33:]).size == (64, 32)
    assert refusal(data[:33] + text * MAX_CHUNKS + data[33:]) == {"photo": [UNREADABLE]}


def count_scans(data: bytes) -> int:
    return sum(code == START_OF_SCAN for code, _, _ in segments(data))


def test_jpeg_of_many_scans_is_refused() -> None:
    data = encode(quadrants(), "JPEG", progressive=True)
    last_scan = data[data.rindex(b"\xff\xda") : -2]
    assert count_scans(data) == 10
    few, many = MAX_SCANS - 10, MAX_SCANS - 9
    assert clean(data[:-2] + last_scan * few + data[-2:]).size == (64, 32)
    assert refusal(data[:-2] + last_scan * many + data[-2:]) == {"photo": [UNREADABLE]}
    # A marker without a length, followed by what looks like a great one, does not hide the scans behind it.
    hiding = b"\xff\x01\xff\xff"
    assert count_scans(data[:-2] + hiding + last_scan * 60 + data[-2:]) == 70


def test_scans_of_a_thumbnail_or_behind_the_image_do_not_count() -> None:
    thumbnail = encode(quadrants(), "JPEG", progressive=True)
    data = encode(quadrants(), "JPEG", exif=b"Exif\x00\x00" + thumbnail) + b"\x00\x00" + thumbnail[2:]
    assert count_scans(data) == 1


def archive() -> bytes:
    """A ZIP file, as programs and documents are, which its readers look for from the end."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("payload.html", "<script>alert('payload')</script>")
    return made.getvalue()


PAYLOADS = {
    "archive": archive(),
    "page": b"<!doctype html><script>alert('payload')</script>",
    "program": b"*/=1;alert('payload')/*<?php system($_GET['payload']); ?>",
    "document": b"%PDF-1.7 payload\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
}


def hidings(payload: bytes) -> list[bytes]:
    """Good pictures with `payload` in each place where there is room for it."""
    jpeg, plain, webp = (encode(quadrants(), kind) for kind in ("JPEG", "PNG", "WEBP"))
    length = struct.pack(">H", len(payload) + 2)
    unknown = b"EVIL" + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) % 2)
    return [
        *(picture + payload for picture in (jpeg, plain, webp)),
        *(
            jpeg[:2] + marker + length + payload + jpeg[2:]
            for marker in (b"\xff\xfe", b"\xff\xe0", b"\xff\xe1", b"\xff\xee")
        ),
        jpeg[:2] + payload.replace(b"\xff", b"") + jpeg[2:],
        *(plain[:33] + chunk(name, payload) + plain[33:] for name in (b"tEXt", b"eXIf", b"iTXt", b"evIl")),
        plain[:-12] + chunk(b"tEXt", b"Comment\0" + payload) + plain[-12:],
        webp[:4] + struct.pack("<I", len(webp) - 8 + len(unknown)) + webp[8:] + unknown,
    ]


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_polyglot_keeps_only_its_pixels(payload: bytes) -> None:
    for data in hidings(payload):
        assert b"payload" in data
        cleaned = clean_image(data, **LIMITS)
        assert corners(clean(data)) == ["red", "lime", "blue", "black"]
        assert not zipfile.is_zipfile(BytesIO(cleaned))
        assert b"payload" not in cleaned


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_file_that_begins_as_something_else_is_refused(kind: str, payload: bytes) -> None:
    assert refusal(payload + encode(quadrants(), kind)) == {"photo": [UNREADABLE]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\xff\xd8",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0\x00\x10JFIF\x00<script>alert(1)</script>",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\x00\x00\x00\x00WEBP",
        b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<!doctype html><script>alert(1)</script>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        png_header(0, 10),
        png_header(10, 10),
    ],
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    assert refusal(data, field="avatar") == {"avatar": [UNREADABLE]}


def test_memory_is_counted_before_decoding() -> None:
    data = encode(quadrants((3000, 2000)), "JPEG", progressive=True, subsampling=0)
    # Six bytes of coefficients for each pixel, and four for each of those that are left after shrinking.
    assert refusal(data, max_bytes=41_999_999) == {"photo": [TOO_MANY_PIXELS]}
    assert clean(data, max_bytes=60_000_000).size == (1440, 960)
    assert clean(encode(quadrants((3000, 2000)), "JPEG"), max_bytes=24_000_000).size == (1440, 960)


def test_webp_of_any_kind_tells_its_size_before_it_is_opened() -> None:
    plain, alpha = quadrants((300, 200)), quadrants((300, 200)).convert("RGBA")
    kinds = (encode(plain, "WEBP"), encode(plain, "WEBP", lossless=True), encode(alpha, "WEBP", exact=True))
    for data in kinds:
        assert refusal(data, max_pixels=59_999) == {"photo": [TOO_MANY_PIXELS]}
        assert clean(data, max_pixels=60_000).size == (300, 200)
    assert refusal(riff([(b"VP8 ", b"abc")])) == {"photo": [UNREADABLE]}
