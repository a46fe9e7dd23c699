"""Reads the chunks of PNG files (W3C PNG, third edition)."""

import struct
import zlib

from swiper.storage.containers import MAX_PROFILE_BYTES, Container, orientation_in

PNG_START = b"\x89PNG\r\n\x1a\n"
NEEDED_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
# libpng writes chunks of 8 kB, 1,280 for 10 MB; the smallest in use have half a kB.
MAX_CHUNKS = 25_000
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
# Pillow needs four bytes per pixel, and four more for each copy at full size. Shrinking a picture with transparency
# takes one copy; converting a palette or one transparent colour takes another.
PLAIN_BYTES, ALPHA_BYTES, CONVERTED_BYTES = 4, 8, 12


def read_png(data: bytes) -> Container:
    """The PNG `data` with only the chunks for its pixels. Raises ValueError for too many chunks or a missing end."""
    kept, exif, profile, position = [PNG_START], b"", b"", len(PNG_START)
    names = set()
    for _ in range(MAX_CHUNKS):
        # A chunk has a length, a name, the content and a checksum.
        content = position + 8
        end = content + int.from_bytes(data[position : position + 4]) + 4
        name = data[position + 4 : content]
        names.add(name)
        if name in NEEDED_CHUNKS:
            kept.append(data[position:end])
        elif name == b"eXIf":
            exif = data[content : end - 4]
        elif name == b"iCCP":
            profile = _profile_in(data[content : end - 4])
        if name == b"IEND":
            break
        if end > len(data):
            raise ValueError("cut off")
        position = end
    else:
        raise ValueError("too many chunks")
    size, bytes_per_pixel = _read_header(data, has_transparent_colour=b"tRNS" in names)
    return Container(b"".join(kept), size, orientation_in(exif), profile, bytes_per_pixel)


def _read_header(data: bytes, *, has_transparent_colour: bool) -> tuple[tuple[int, int], int]:
    try:
        width, height, depth, colour = struct.unpack_from(">IIBB", data, len(PNG_START) + 8)
    except struct.error as error:
        raise ValueError("no header") from error
    if colour == PALETTE or has_transparent_colour or (colour == GREY and depth == 16):
        return (width, height), CONVERTED_BYTES
    return (width, height), ALPHA_BYTES if colour in (GREY_ALPHA, RGBA) else PLAIN_BYTES


def _profile_in(chunk: bytes) -> bytes:
    """The ICC profile of an `iCCP` chunk: name, 0, method 0, compressed profile. Empty if the chunk is damaged."""
    _name, _, packed = chunk.partition(b"\0")
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed[1:], MAX_PROFILE_BYTES)
    except zlib.error:
        return b""
    return profile if unpacker.eof and packed[:1] == b"\0" else b""
