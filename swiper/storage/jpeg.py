"""Reads the segments of JPEG files (ITU T.81, annex B)."""

import re
import struct
from collections.abc import Iterator

from swiper.storage.containers import EXIF_START, MAX_PROFILE_BYTES, Container, orientation_in

JPEG_START = b"\xff\xd8"
JPEG_END = b"\xff\xd9"

# Markers with a length behind them, as libjpeg reads them: no padding, markers without a length, or stuffed bytes.
MARKER = re.compile(rb"\xff([\xc0-\xcf\xd8-\xfe])")
START_OF_SCAN = 0xDA
END_OF_IMAGE = 0xD9
# Three of the codes 0xC0 to 0xCF are no frame: Huffman tables, a reserved code, arithmetic conditioning.
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
PROGRESSIVE_FRAMES = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
# JFIF and Adobe's segment say how colours are stored; the other APPn segments and comments do not affect pixels.
NEEDED_APPS = (0xE0, 0xEE)
APPS = range(0xE0, 0xF0)
COMMENT = 0xFE
EXIF_APP = 0xE1
PROFILE_APP = 0xE2
# Followed by the number of this part, from 1, and the number of parts (ICC.1:2010, annex B.4).
PROFILE_START = b"ICC_PROFILE\0"
# Cameras write some twenty segments and up to 255 for a colour profile; a progressive file has about forty more.
MAX_SEGMENTS = 2_000
# A progressive JPEG is decoded completely for each of its scans. Encoders write about ten, but a file of 10 MB has room
# for 150,000, which at 40 megapixels take an hour of CPU (24 ms each, measured with Pillow 13).
MAX_SCANS = 50
# Pillow stores each pixel in four bytes.
BYTES_PER_PIXEL = 4
COEFFICIENT_BYTES = 2


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """`(code, start, end)` of each segment of the JPEG `data` up to its end marker, without thumbnails inside them.

    Raises ValueError for more than MAX_SEGMENTS.
    """
    position = len(JPEG_START)
    for _ in range(MAX_SEGMENTS):
        marker = MARKER.search(data, position)
        if marker is None:
            return
        if marker[1][0] == END_OF_IMAGE:
            yield END_OF_IMAGE, marker.start(), marker.end()
            return
        position = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])
        yield marker[1][0], marker.start(), position
    raise ValueError("too many segments")


def read_jpeg(data: bytes) -> Container:
    """The JPEG `data` without padding and metadata before its pixels.

    Raises ValueError for too many segments or scans, no pixels or no frame.
    """
    found = list(segments(data))
    scans = [start for code, start, _ in found if code == START_OF_SCAN]
    if not scans:
        raise ValueError("no pixels")
    if len(scans) > MAX_SCANS:
        raise ValueError("too many scans")
    head = [(code, data[start:end]) for code, start, end in found if start < scans[0]]
    kept = [body for code, body in head if code in NEEDED_APPS or code not in (*APPS, COMMENT)]
    exif = next((body[4:] for code, body in head if code == EXIF_APP and body[4:].startswith(EXIF_START)), b"")
    size, buffered_bytes = _read_frame(head, is_in_scans=len(scans) > 1)
    return Container(
        data=b"".join([JPEG_START, *kept, data[scans[0] :]]),
        size=size,
        orientation=orientation_in(exif),
        profile=_profile_in(head),
        bytes_per_pixel=BYTES_PER_PIXEL,
        can_shrink=True,
        buffered_bytes=buffered_bytes,
        has_end=found[-1][0] == END_OF_IMAGE,
    )


def _read_frame(head: list[tuple[int, bytes]], *, is_in_scans: bool) -> tuple[tuple[int, int], int]:
    """Size, and the memory in bytes for the coefficients, which libjpeg stores if the picture has several scans."""
    code, body = next(((code, body) for code, body in head if code in FRAMES), (0, b""))
    try:
        height, width, count = struct.unpack_from(">HHB", body, 5)
        factors = [divmod(body[11 + 3 * number], 16) for number in range(count)]
    except (struct.error, IndexError) as error:
        raise ValueError("no frame, or half a one") from error
    largest = max((across * down for across, down in factors), default=0)
    if not (largest and width and height):
        raise ValueError("an empty frame")
    if code not in PROGRESSIVE_FRAMES and not is_in_scans:
        return (width, height), 0
    share = sum(across * down for across, down in factors) / largest
    return (width, height), int(width * height * share * COEFFICIENT_BYTES)


def _profile_in(head: list[tuple[int, bytes]]) -> bytes:
    """The ICC profile, joined from its parts; empty if there is none or a part is missing."""
    parts: dict[int, bytes] = {}
    counts = set()
    for code, body in head:
        if code == PROFILE_APP and body[4:].startswith(PROFILE_START) and len(body) > 18:
            parts.setdefault(body[16], body[18:])
            counts.add(body[17])
    is_whole = len(counts) == 1 and sorted(parts) == list(range(1, counts.pop() + 1))
    profile = b"".join(parts[number] for number in sorted(parts)) if is_whole else b""
    return profile if len(profile) <= MAX_PROFILE_BYTES else b""
