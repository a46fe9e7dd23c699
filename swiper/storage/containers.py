"""The outer form of JPEG and PNG files: cut down to what their pixels need, before a decoder reads them.

Pillow reads each piece of a file's head in Python. An upload of 10 MB that is all padding, empty comments or empty
chunks keeps a processor busy for 8 to 20 s that way, and one with a comment of many parts takes 330 MB (measured with
Pillow 13.0). Here the same files are refused or cut down within 0.5 s.
"""

import re
import struct
from collections.abc import Iterator

JPEG_START = b"\xff\xd8"
PNG_START = b"\x89PNG\r\n\x1a\n"

# The markers that libjpeg follows by a length; padding, those without a length, and stuffed bytes are left out.
MARKER = re.compile(rb"\xff([\xc0-\xcf\xd8-\xfe])")
START_OF_SCAN = 0xDA
END_OF_IMAGE = 0xD9
# JFIF and Adobe's segment tell how colours are stored; the other APPn and the comment say nothing about pixels.
NEEDED_APPS = (0xE0, 0xEE)
APPS = range(0xE0, 0xF0)
COMMENT = 0xFE
EXIF_APP = 0xE1
EXIF_START = b"Exif\0\0"
# Cameras write some twenty segments, and up to 255 of colour profile; a progressive file has about forty more.
MAX_SEGMENTS = 2_000

NEEDED_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
# libpng cuts pixels into pieces of 8 kB, 1,280 for 10 MB; the smallest in use are half a kB.
MAX_CHUNKS = 25_000

ORIENTATION = 0x0112
SHORT = 3


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """`(code, start, end)` of each segment of the JPEG `data`, thumbnails inside them left out, up to its end.

    Raises ValueError for more than MAX_SEGMENTS.
    """
    position = len(JPEG_START)
    for _ in range(MAX_SEGMENTS):
        marker = MARKER.search(data, position)
        if marker is None or marker[1][0] == END_OF_IMAGE:
            return
        position = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])
        yield marker[1][0], marker.start(), position
    raise ValueError("too many segments")


def count_scans(data: bytes) -> int:
    """How many scans the JPEG `data` has. Raises ValueError for too many segments."""
    return sum(code == START_OF_SCAN for code, _, _ in segments(data))


def strip_jpeg(data: bytes) -> tuple[bytes, bytes]:
    """The JPEG `data` without padding and metadata before its pixels, and its EXIF block, empty where there is none.

    Raises ValueError for too many segments, or no pixels.
    """
    kept, exif = [JPEG_START], b""
    for code, start, end in segments(data):
        if code == START_OF_SCAN:
            return b"".join([*kept, data[start:]]), exif
        if code == EXIF_APP and not exif and data[start + 4 : end].startswith(EXIF_START):
            exif = data[start + 4 : end]
        if code in NEEDED_APPS or code not in (*APPS, COMMENT):
            kept.append(data[start:end])
    raise ValueError("no pixels")


def strip_png(data: bytes) -> tuple[bytes, bytes]:
    """The PNG `data` with only the chunks that its pixels need, and its EXIF block, empty where there is none.

    Raises ValueError for too many chunks, or no end.
    """
    kept, exif, position = [PNG_START], b"", len(PNG_START)
    for _ in range(MAX_CHUNKS):
        # A length, a name, the content, a checksum.
        content = position + 8
        end = content + int.from_bytes(data[position : position + 4]) + 4
        name = data[position + 4 : content]
        if name in NEEDED_CHUNKS:
            kept.append(data[position:end])
        elif name == b"eXIf":
            exif = data[content : end - 4]
        if name == b"IEND":
            return b"".join(kept), exif
        if end > len(data):
            raise ValueError("cut off")
        position = end
    raise ValueError("too many chunks")


def orientation_in(exif: bytes) -> int:
    """How an EXIF block says the picture was turned, 1 (upright) to 8; 1 also where it says nothing that makes sense.

    Reads this one entry alone, as browsers do: an upload's other entries may have any type, size and number.
    """
    block = exif.removeprefix(EXIF_START)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    try:
        if order is None:
            return 1
        (entries,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, entries)
        for number in range(count):
            tag, kind, values, value = struct.unpack_from(f"{order}HHIH", block, entries + 2 + 12 * number)
            if tag == ORIENTATION:
                return value if (kind, values) == (SHORT, 1) and 1 <= value <= 8 else 1
    except struct.error:
        # Cut off: photos of some phones are, and are shown all the same.
        return 1
    return 1
