"""Converts an upload to a new JPEG that has only its pixels, and nothing else of the sender's file."""

from io import BytesIO

from PIL import Image, ImageFile
from PIL.Image import Transpose

from swiper.errors import ParamError
from swiper.storage.colours import to_eight_bits, to_srgb_on_white
from swiper.storage.containers import Container
from swiper.storage.jpeg import JPEG_END, JPEG_START, read_jpeg
from swiper.storage.png import PNG_START, read_png
from swiper.storage.webp import is_webp, read_webp

FORMATS = ("JPEG", "PNG", "WEBP")
UNREADABLE = "Not an image that we can read."
TOO_MANY_PIXELS = "The image has too many pixels."
HEIC = "HEIC photos cannot be read here. Send a JPEG: iPhone Settings, Camera, Formats, Most Compatible."

# By EXIF orientation: how to turn the picture upright. `ImageOps.exif_transpose` also reads and writes the whole EXIF
# block, so it fails on photos with one tag of an unexpected type.
UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
# The limit of JPEG. Pillow needs some 20 bytes per row beside the pixels: one column of 24 million takes 550 MB.
MAX_SIDE = 65_535
# By how much libjpeg can shrink while it decodes.
SHRINKS = (8, 4, 2)
# Brands of ISO files with HEVC pictures, and of those with pictures in any coding (ISO/IEC 23008-12).
HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
ANY_CODING_BRANDS = frozenset({b"mif1", b"mif2", b"msf1"})
AVIF_BRANDS = frozenset({b"avif", b"avis"})
MAX_BRANDS = 64
# Put in the place of a scan's missing end, where libjpeg would put zeros; no byte of it begins a marker.
NOISE = bytes((170 + 73 * number) % 255 for number in range(255)) * 4

# `check_size` checks the size before decoding. Pillow's own limit would print a warning.
Image.MAX_IMAGE_PIXELS = None


class TooManyPixelsError(Exception):
    """The picture has more pixels than are decoded, or needs more memory."""


def clean_image(data: bytes, *, field: str, max_pixels: int, max_bytes: int, longest_side: int = 1440) -> bytes:
    """A progressive JPEG of the upload `data`: upright, sRGB, on white, no metadata, at most `longest_side` pixels.

    Accepts JPEG, PNG and WebP; of an animation, the first frame. Raises ParamError at `field` for other files, for a
    damaged one, and for one with more than `max_pixels` pixels or whose decoding would take more than `max_bytes` of
    memory. The latter are refused before they are decoded.
    """
    if is_heic(data):
        raise ParamError(errors={field: [HEIC]})
    try:
        container = read_container(data)
        shrink = shrink_of(container, longest_side)
        check_size(container, shrink, max_pixels, max_bytes)
        return encode(decode_whole(container, shrink, longest_side), container.orientation)
    except TooManyPixelsError as error:
        raise ParamError(errors={field: [TOO_MANY_PIXELS]}) from error
    except Exception as error:
        # Pillow has no common base of its errors: OSError, SyntaxError, ValueError, struct.error and others occur.
        raise ParamError(errors={field: [UNREADABLE]}) from error


def is_heic(data: bytes) -> bool:
    """True for a file whose brand, or one of its compatible brands, says that it has HEVC pictures."""
    if data[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(data[:4]), 16 + 4 * MAX_BRANDS)
    own, others = data[8:12], {data[start : start + 4] for start in range(16, end, 4)}
    brands = {own, *others}
    return bool(brands & HEIC_BRANDS) or (own in ANY_CODING_BRANDS and not brands & AVIF_BRANDS)


def read_container(data: bytes) -> Container:
    """The picture `data` without parts that Pillow reads slowly and does not need. Raises ValueError."""
    if data.startswith(JPEG_START):
        return read_jpeg(data)
    if data.startswith(PNG_START):
        return read_png(data)
    if is_webp(data):
        return read_webp(data)
    raise ValueError("another kind of file")


def shrink_of(container: Container, longest_side: int) -> int:
    """By how much to shrink a JPEG while it is decoded, to at least twice `longest_side`; 1 for other formats."""
    longest = max(container.size)
    shrinks = [shrink for shrink in SHRINKS if container.can_shrink and longest // shrink >= 2 * longest_side]
    return shrinks[0] if shrinks else 1


def check_size(container: Container, shrink: int, max_pixels: int, max_bytes: int) -> None:
    """Raises TooManyPixelsError if the picture has too many pixels or decoding it would take too much memory."""
    needed = container.pixels // shrink**2 * container.bytes_per_pixel + container.buffered_bytes
    if container.pixels > max_pixels or max(container.size) > MAX_SIDE or needed > max_bytes:
        raise TooManyPixelsError


def decode_whole(container: Container, shrink: int, longest_side: int) -> Image.Image:
    """The picture, shrunk to `longest_side`, in sRGB on white. Raises Pillow's errors, ValueError if truncated.

    A JPEG without an end marker is accepted if all its pixels are there, since browsers show it. To find out, it is
    decoded twice with different bytes in the place of the missing end: missing pixels come out different.
    """
    check_chunks(container)
    if container.has_end:
        return decode(container, container.data, shrink, longest_side)
    pixels = container.data.rstrip(b"\xff")
    image = decode(container, pixels + JPEG_END, shrink, longest_side)
    other = decode(container, pixels + NOISE + JPEG_END, shrink, longest_side)
    if image.tobytes() != other.tobytes():
        raise ValueError("cut off")
    return image


def check_chunks(container: Container) -> None:
    """Check the chunks of a PNG, since decoding does not notice all damaged or missing ones. Raises Pillow's errors."""
    with open_upload(container.data) as image:
        image.verify()


def open_upload(data: bytes) -> ImageFile.ImageFile:
    """Open `data` with the decoders of `FORMATS` alone, since some of Pillow's others start programs."""
    return Image.open(BytesIO(data), formats=FORMATS)


def decode(container: Container, data: bytes, shrink: int, longest_side: int) -> Image.Image:
    """The first frame of `data`, shrunk, in sRGB on white. Raises Pillow's errors, and ValueError for another size."""
    with open_upload(data) as image:
        if image.size != container.size:
            raise ValueError("two sizes")
        width, height = image.size
        # libjpeg shrinks while it decodes, which saves most of the memory; other formats ignore this.
        image.draft(None, (max(1, width // shrink), max(1, height // shrink)))
        image.load()
        colours = to_eight_bits(image)
        # This is done before all other steps, so that none of them copies the picture at full size.
        colours.thumbnail((longest_side, longest_side))
        return to_srgb_on_white(colours, container.profile)


def encode(image: Image.Image, orientation: int) -> bytes:
    """`image`, turned upright, as JPEG."""
    upright = image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image
    output = BytesIO()
    upright.save(output, "JPEG", quality=85, progressive=True, optimize=True)
    return output.getvalue()
