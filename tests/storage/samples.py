"""Pictures of every kind that we take, and of the kinds that are made to break what reads them."""

import struct
import zlib
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from PIL import Image
from PIL.Image import Exif
from PIL.PngImagePlugin import PngInfo

PNG_START = b"\x89PNG\r\n\x1a\n"
SECRET = b"SECRET"
MIB = 1 << 20
# The defaults of UPLOAD_MAX_PIXELS and UPLOAD_MEMORY_BYTES, and the sizes that they allow, to the row.
MAX_PIXELS = 100_000_000
MAX_BYTES = 440_000_000
JPEG_SIZE = (12_500, 8_000)
PROGRESSIVE_SIZE = (10_000, 6_280)
PLAIN_PNG_SIZE = (12_500, 8_000)
ALPHA_PNG_SIZE = (10_000, 5_500)
CONVERTED_PNG_SIZE = (8_000, 4_583)
WEBP_SIZE = (6_100, 4_007)
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}

Chunks = Iterable[tuple[bytes, bytes]]

SMALL = (10, 10)
PIXELS = zlib.compress(bytes(31 * 10))


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """`image` as a file of `kind`."""
    output = BytesIO()
    image.save(output, kind, **options)
    return output.getvalue()


def gradient(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A picture with something in every corner."""
    return Image.radial_gradient("L").resize(size).convert(mode)


def metadata() -> Exif:
    """An EXIF block with a name and a place in it."""
    exif = Exif()
    exif[0x0112], exif[0x013B] = 6, f"{SECRET.decode()} artist"
    exif.get_ifd(0x8825).update({1: "N", 2: (31.0, 14.0, 0.0), 3: "E", 4: (121.0, 28.0, 0.0)})
    return exif


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(
    size: tuple[int, int],
    pixels: bytes,
    *,
    depth: int = 8,
    colour: int = RGB,
    interlaced: bool = False,
    before: Chunks = (),
) -> bytes:
    """A PNG with the compressed `pixels`, and with further chunks before them."""
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, interlaced)
    chunks = [(b"IHDR", header), *before, (b"IDAT", pixels), (b"IEND", b"")]
    return PNG_START + b"".join(chunk(name, body) for name, body in chunks)


def deflated(count: int) -> bytes:
    """So many zero bytes as raw deflate data that more may follow."""
    packer = zlib.compressobj(9, wbits=-15)
    return packer.compress(bytes(count)) + packer.flush(zlib.Z_FULL_FLUSH)


ZEROS = deflated(MIB)


def zeros(count: int) -> bytes:
    """So many zero bytes, compressed, without the time that compressing them takes."""
    # RFC 1950 and 1951: a header, any number of blocks, an empty last one, and the sum of what they hold.
    blocks = ZEROS * (count // MIB) + deflated(count % MIB)
    return b"\x78\x01" + blocks + b"\x03\x00" + struct.pack(">HH", count % 65_521, 1)


def black_png(size: tuple[int, int], *, depth: int = 8, colour: int = RGB, **options: Any) -> bytes:
    """A PNG of any size that takes next to no room."""
    width, height = size
    pixel = CHANNELS[colour] * depth // 8
    if not options.get("interlaced"):
        return png(size, zeros((width * pixel + 1) * height), depth=depth, colour=colour, **options)
    passes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in ADAM7]
    raw = sum((columns * pixel + 1) * rows for columns, rows in passes if columns > 0)
    return png(size, zeros(raw), depth=depth, colour=colour, **options)


def _tag(kind: bytes, body: bytes) -> bytes:
    return kind + bytes(4) + body + bytes(-len(body) % 4)


def _fixed(number: float) -> bytes:
    return struct.pack(">i", round(number * 65_536))


# Red, green and blue as XYZ under D50, and the curve: a power, or sRGB's own five parameters.
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
RGB_SPACES: dict[str, tuple[tuple[tuple[float, ...], ...], tuple[float, ...]]] = {
    "Display P3": (((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407)), SRGB_CURVE),
    "Adobe RGB": (((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)), (2.2,)),
    "ProPhoto": (((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03135, 0.00009, 0.82491)), (1.8,)),
}
WHITE = b"".join(map(_fixed, (0.9642, 1.0, 0.8249)))


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile of a screen (ICC.1:2010, version 4) with these tags."""
    tags = {b"wtpt": _tag(b"XYZ ", WHITE), **tags}
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content
    size = start + len(body)
    head = struct.pack(">I4xI4s4s4s", size, 0x04300000, b"mntr", space, b"XYZ ") + bytes(12) + b"acsp" + bytes(28)
    return head + WHITE + bytes(48) + struct.pack(">I", len(tags)) + table + body


def rgb_profile(name: str) -> bytes:
    """The profile of one of RGB_SPACES."""
    primaries, curve = RGB_SPACES[name]
    kind = 0 if len(curve) == 1 else 3
    shape = _tag(b"para", struct.pack(">Hxx", kind) + b"".join(map(_fixed, curve)))
    colours = zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)
    tags = {tag: _tag(b"XYZ ", b"".join(map(_fixed, xyz))) for tag, xyz in colours}
    return _profile(b"RGB ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), shape))


def grey_profile(gamma: float) -> bytes:
    """The profile of grey with a power for its curve."""
    return _profile(b"GRAY", {b"kTRC": _tag(b"para", struct.pack(">Hxx", 0) + _fixed(gamma))})


def segment(code: int, body: bytes) -> bytes:
    """A segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, code, len(body) + 2) + body


def riff(chunks: Chunks) -> bytes:
    """A WebP of these chunks."""
    body = b"".join(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def webp_of_frames(count: int) -> bytes:
    """An animation of one pixel."""
    picture = encode(Image.new("RGB", (1, 1)), "WEBP", lossless=True)[12:]
    frame = bytes(12) + (10).to_bytes(3, "little") + b"\0" + picture
    head = struct.pack("<I", 0x02) + bytes(6)
    return riff([(b"VP8X", head), (b"ANIM", bytes(6)), *[(b"ANMF", frame)] * count])


def animation(mode: str, size: tuple[int, int]) -> bytes:
    """A WebP of two frames."""
    frames = [Image.new(mode, size, colour) for colour in ("red", "blue")]
    return encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], method=0)


def seeds() -> dict[str, bytes]:
    """Good pictures of all kinds, most of them with a secret beside their pixels."""
    exif, text = metadata(), PngInfo()
    text.add_text("Comment", SECRET.decode())
    text.add_text("Comment", SECRET.decode(), zip=True)
    xmp = b"<x:xmpmeta>" + SECRET + b"</x:xmpmeta>"
    passes = b"".join((b"\0" + bytes(range(0, 4 * -(-(16 - x) // dx)))) * -(-(16 - y) // dy) for x, y, dx, dy in ADAM7)
    deep = b"".join(b"\1" + bytes(range(96)) for _ in range(16))
    return {
        "jpeg baseline": encode(gradient(), "JPEG", exif=exif, comment=SECRET, xmp=xmp),
        "jpeg progressive": encode(gradient(), "JPEG", progressive=True, exif=exif, subsampling=0),
        "jpeg grey": encode(gradient("L"), "JPEG", optimize=True),
        "jpeg cmyk": encode(gradient("CMYK"), "JPEG"),
        "png rgb": encode(gradient(), "PNG", exif=exif, pnginfo=text),
        "png rgba": encode(gradient("RGBA"), "PNG"),
        "png grey 16 bit": encode(gradient("L").convert("I;16"), "PNG"),
        "png rgb 16 bit": png((16, 16), zlib.compress(deep), depth=16),
        "png palette": encode(gradient("P"), "PNG", transparency=3, bits=8),
        "png 1 bit": encode(gradient("1"), "PNG"),
        "png interlaced": png((16, 16), zlib.compress(passes), colour=RGBA, interlaced=True),
        "webp lossy": encode(gradient(), "WEBP", exif=exif, xmp=xmp),
        "webp lossless": encode(gradient("RGBA"), "WEBP", lossless=True, exif=exif),
        "webp animated": animation("RGBA", (32, 32)),
    }


def exif_of(entries: int, size: int) -> bytes:
    """A TIFF block whose entries all point to the same `size` bytes."""
    table = b"".join(struct.pack("<HHII", tag, 7, size, 0) for tag in range(0x8000, 0x8000 + entries))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", entries) + table + bytes(4) + bytes(size)


def _jpeg(*, inserted: bytes) -> bytes:
    small = encode(gradient(), "JPEG")
    return small[:2] + inserted + small[2:]


def _png(*, inserted: bytes) -> bytes:
    small = png(SMALL, PIXELS)
    pixels = small.index(b"IDAT") - 4
    return small[:pixels] + inserted + small[pixels:]


def _split_exif() -> bytes:
    block = exif_of(30_000, 9 * MIB)
    parts = [block[start : start + 65_000] for start in range(0, len(block), 65_000)]
    return b"".join(segment(0xE1, b"Exif\0\0" + part) for part in parts)


def _large(mode: str, kind: str, size: tuple[int, int], **options: Any) -> bytes:
    return encode(Image.new(mode, size), kind, **options)


def _with_a_row_more(size: tuple[int, int]) -> tuple[int, int]:
    return size[0], size[1] + 1


def _on_canvas(data: bytes, width: int, height: int) -> bytes:
    start = data.index(b"VP8X") + 12
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return data[:start] + size + data[start + 6 :]


TAKEN, REFUSED = True, False
BOMBS: dict[str, tuple[bool, Callable[[], bytes]]] = {
    # Little that becomes much.
    "text of 200 MB": (TAKEN, lambda: png(SMALL, PIXELS, before=[(b"zTXt", b"a\0\0" + zeros(200 * MIB))])),
    "profile of 200 MB": (TAKEN, lambda: png(SMALL, PIXELS, before=[(b"iCCP", b"a\0\0" + zeros(200 * MIB))])),
    "unicode of 200 MB": (TAKEN, lambda: png(SMALL, PIXELS, before=[(b"iTXt", b"a\0\1\0\0\0" + zeros(200 * MIB))])),
    "90 texts of 1 MB": (TAKEN, lambda: png(SMALL, PIXELS, before=[(b"zTXt", b"a\0\0" + zeros(MIB - 9))] * 90)),
    "pixels of 900 MB": (TAKEN, lambda: png(SMALL, zeros(900 * MIB))),
    "canvas of 169 megapixels": (REFUSED, lambda: _on_canvas(animation("RGB", (16, 16)), 13_000, 13_000)),
    # As much as an upload may be, in the smallest pieces, or in one.
    "empty texts": (REFUSED, lambda: _png(inserted=chunk(b"tEXt", b"") * 800_000)),
    "unknown chunks": (REFUSED, lambda: _png(inserted=chunk(b"abCd", b"") * 800_000)),
    "empty pixels": (REFUSED, lambda: _png(inserted=chunk(b"IDAT", b"") * 800_000)),
    "padding": (TAKEN, lambda: _jpeg(inserted=b"\xff" * 10 * MIB)),
    "gap": (TAKEN, lambda: _jpeg(inserted=bytes(10 * MIB))),
    "empty comments": (REFUSED, lambda: _jpeg(inserted=segment(0xFE, b"") * 2_500_000)),
    "quantisation tables": (REFUSED, lambda: _jpeg(inserted=segment(0xDB, b"\0" + bytes(range(1, 65))) * 145_000)),
    "huge segments": (TAKEN, lambda: _jpeg(inserted=segment(0xE5, bytes(65_000)) * 155)),
    "huge profile": (TAKEN, lambda: _jpeg(inserted=segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(65_000)) * 155)),
    "photoshop blocks": (
        TAKEN,
        lambda: _jpeg(inserted=segment(0xED, b"Photoshop 3.0\0" + b"8BIM\0\1\0\0\0\0\0\0" * 5_000) * 150),
    ),
    "exif over and over": (TAKEN, lambda: _jpeg(inserted=_split_exif())),
    "exif in a chunk": (TAKEN, lambda: png(SMALL, PIXELS, before=[(b"eXIf", exif_of(30_000, 9 * MIB))])),
    "animation of 100,000 frames": (TAKEN, lambda: webp_of_frames(100_000)),
    # The last picture that is small enough, as each decoder finds it hardest, and the first that is not.
    "rgb png": (TAKEN, lambda: black_png(PLAIN_PNG_SIZE)),
    "rgba png": (TAKEN, lambda: black_png(ALPHA_PNG_SIZE, colour=RGBA)),
    "16 bit png": (TAKEN, lambda: black_png(CONVERTED_PNG_SIZE, depth=16, colour=GREY)),
    "16 bit png with a transparent colour": (
        TAKEN,
        lambda: black_png(CONVERTED_PNG_SIZE, depth=16, colour=GREY, before=[(b"tRNS", b"\0\0")]),
    ),
    "palette png": (
        TAKEN,
        lambda: black_png(CONVERTED_PNG_SIZE, colour=PALETTE, before=[(b"PLTE", bytes(768)), (b"tRNS", bytes(256))]),
    ),
    "grey png with alpha": (TAKEN, lambda: black_png(ALPHA_PNG_SIZE, colour=GREY_ALPHA)),
    "interlaced png": (TAKEN, lambda: black_png(ALPHA_PNG_SIZE, colour=RGBA, interlaced=True)),
    "jpeg": (TAKEN, lambda: _large("RGB", "JPEG", JPEG_SIZE)),
    "flat jpeg": (TAKEN, lambda: _large("RGB", "JPEG", (65_500, 1_500))),
    "cmyk jpeg": (TAKEN, lambda: _large("CMYK", "JPEG", JPEG_SIZE)),
    "progressive jpeg": (TAKEN, lambda: _large("RGB", "JPEG", PROGRESSIVE_SIZE, progressive=True, subsampling=0)),
    "subsampled progressive jpeg": (TAKEN, lambda: _large("RGB", "JPEG", JPEG_SIZE, progressive=True)),
    "lossless webp": (TAKEN, lambda: _large("RGBA", "WEBP", WEBP_SIZE, lossless=True, method=0)),
    "animated webp": (TAKEN, lambda: _on_canvas(animation("RGBA", (16, 16)), *WEBP_SIZE)),
    "png with a row more": (REFUSED, lambda: black_png(_with_a_row_more(PLAIN_PNG_SIZE), colour=GREY)),
    "rgba png with a row more": (REFUSED, lambda: black_png(_with_a_row_more(ALPHA_PNG_SIZE), colour=RGBA)),
    "palette png with a row more": (REFUSED, lambda: black_png(_with_a_row_more(CONVERTED_PNG_SIZE), colour=PALETTE)),
    "jpeg with a row more": (REFUSED, lambda: _large("L", "JPEG", _with_a_row_more(JPEG_SIZE))),
    "progressive jpeg of 100 megapixels": (
        REFUSED,
        lambda: _large("RGB", "JPEG", JPEG_SIZE, progressive=True, subsampling=0),
    ),
    "webp with a row more": (REFUSED, lambda: _on_canvas(animation("RGB", (16, 16)), *_with_a_row_more(WEBP_SIZE))),
    "column": (REFUSED, lambda: black_png((1, MAX_PIXELS), colour=GREY)),
    "line": (REFUSED, lambda: black_png((MAX_PIXELS, 1), colour=GREY)),
}
