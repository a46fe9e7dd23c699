"""Reads the chunks of WebP files (RFC 9649)."""

from swiper.storage.containers import MAX_PROFILE_BYTES, Container, orientation_in

RIFF, WEBP = b"RIFF", b"WEBP"
# libwebp stores a lossless picture or an animation three times, Pillow twice, with four bytes per pixel. Not all of
# this memory is really used (measured with Pillow 13.0).
BYTES_PER_PIXEL = 18
NEEDED_CHUNKS = (b"VP8X", b"VP8 ", b"VP8L", b"ICCP", b"EXIF")
# The EXIF chunk comes after the frames of an animation; no animation in use has more.
MAX_CHUNKS = 10_000
LOSSY_START = b"\x9d\x01\x2a"
LOSSLESS_START = 0x2F


def is_webp(data: bytes) -> bool:
    """True for a RIFF file of type WebP."""
    return data[:4] == RIFF and data[8:12] == WEBP


def read_webp(data: bytes) -> Container:
    """The WebP `data` with all its chunks, since libwebp reads them fast. Raises ValueError if there is no size."""
    chunks: dict[bytes, bytes] = {}
    position = 12
    for _ in range(MAX_CHUNKS):
        content = position + 8
        length = int.from_bytes(data[position + 4 : content], "little")
        name = data[position : position + 4]
        if not name:
            break
        if name in NEEDED_CHUNKS:
            chunks.setdefault(name, data[content : content + length])
        # A chunk of odd length is followed by one more byte.
        position = content + length + length % 2
    profile = chunks.get(b"ICCP", b"")
    return Container(
        data=data,
        size=_size_in(chunks),
        orientation=orientation_in(chunks.get(b"EXIF", b"")),
        profile=profile if len(profile) <= MAX_PROFILE_BYTES else b"",
        bytes_per_pixel=BYTES_PER_PIXEL,
    )


def _size_in(chunks: dict[bytes, bytes]) -> tuple[int, int]:
    canvas, lossy, lossless = (chunks.get(name, b"") for name in (b"VP8X", b"VP8 ", b"VP8L"))
    if len(canvas) >= 10:
        return int.from_bytes(canvas[4:7], "little") + 1, int.from_bytes(canvas[7:10], "little") + 1
    if lossy[3:6] == LOSSY_START and len(lossy) >= 10:
        # The two highest bits say how to scale, which no decoder does.
        return int.from_bytes(lossy[6:8], "little") & 0x3FFF, int.from_bytes(lossy[8:10], "little") & 0x3FFF
    if lossless[:1] == bytes([LOSSLESS_START]) and len(lossless) >= 5:
        bits = int.from_bytes(lossless[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    raise ValueError("no size")
