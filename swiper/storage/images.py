"""Turns an upload into a plain JPEG of ours: what the sender's file carried beside its pixels is gone."""

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

# Turns each EXIF orientation into upright. `ImageOps.exif_transpose` does the same but also reads the whole EXIF block
# and writes it anew, and so fails on photos with one tag of an unexpected type.
UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
# As JPEG has it. Pillow keeps some 20 bytes for each row beside its pixels: a column of 24 million takes 550 MB.
MAX_SIDE = 65_535
# libjpeg's ways to shrink while it decodes.
SHRINKS = (8, 4, 2)
# The brands of ISO files that hold HEVC pictures, and those of pictures in any coding (ISO/IEC 23008-12).
HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
ANY_CODING_BRANDS = frozenset({b"mif1", b"mif2", b"msf1"})
AVIF_BRANDS = frozenset({b"avif", b"avis"})
MAX_BRANDS = 64
# Stands in for the rest of a scan that was cut off, where libjpeg puts zeros; no byte of it begins a marker.
NOISE = bytes((170 + 73 * number) % 255 for number in range(255)) * 4

# Containers are checked before they are decoded, by `check_size`; Pillow would warn of large ones, and print that.
Image.MAX_IMAGE_PIXELS = None


class TooManyPixelsError(Exception):
    """The header announces more pixels than we decode."""


def clean_image(data: bytes, *, field: str, max_pixels: int, max_bytes: int, longest_side: int = 1440) -> bytes:
    """A progressive JPEG of the upload `data`: upright, sRGB, on white, no metadata, at most `longest_side` pixels.

    Takes JPEG, PNG and WebP, of animations the first frame. Raises ParamError at `field` for everything else, for a
    damaged file, and for one of more than `max_pixels` or whose decoding takes more than `max_bytes` of memory, which
    is refused before it is decoded.
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
        # Pillow has no common error: a hostile file gets OSError, SyntaxError, ValueError, struct.error and others.
        raise ParamError(errors={field: [UNREADABLE]}) from error


def is_heic(data: bytes) -> bool:
    """True for a file that says it holds HEVC pictures: by its own brand, or one of those it is compatible with."""
    if data[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(data[:4]), 16 + 4 * MAX_BRANDS)
    own, others = data[8:12], {data[start : start + 4] for start in range(16, end, 4)}
    brands = {own, *others}
    return bool(brands & HEIC_BRANDS) or (own in ANY_CODING_BRANDS and not brands & AVIF_BRANDS)


def read_container(data: bytes) -> Container:
    """What `data` says about itself, without what could keep Pillow busy beside the pixels. Raises ValueError."""
    if data.startswith(JPEG_START):
        return read_jpeg(data)
    if data.startswith(PNG_START):
        return read_png(data)
    if is_webp(data):
        return read_webp(data)
    raise ValueError("another kind of file")


def shrink_of(container: Container, longest_side: int) -> int:
    """By how much a JPEG is shrunk while it is decoded, so that twice `longest_side` is left; 1 for other kinds."""
    longest = max(container.size)
    shrinks = [shrink for shrink in SHRINKS if container.can_shrink and longest // shrink >= 2 * longest_side]
    return shrinks[0] if shrinks else 1


def check_size(container: Container, shrink: int, max_pixels: int, max_bytes: int) -> None:
    """Raises TooManyPixelsError where the picture, or the memory for its pixels, is too large."""
    needed = container.pixels // shrink**2 * container.bytes_per_pixel + container.buffered_bytes
    if container.pixels > max_pixels or max(container.size) > MAX_SIDE or needed > max_bytes:
        raise TooManyPixelsError


def decode_whole(container: Container, shrink: int, longest_side: int) -> Image.Image:
    """The picture, shrunk to `longest_side`, in sRGB on white. Raises whatever Pillow does, ValueError for half a one.

    A JPEG may lack its end mark alone, and every browser shows it. libjpeg would paint what is missing of its pixels
    grey; but then they would look different with other bytes in their place.
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
    """Find the damaged and missing chunks of a PNG, which decoding alone overlooks. Raises whatever Pillow does."""
    with open_upload(container.data) as image:
        image.verify()


def open_upload(data: bytes) -> ImageFile.ImageFile:
    """`data` with its header read; no other decoder of Pillow's, some of which start programs, gets to see it."""
    return Image.open(BytesIO(data), formats=FORMATS)


def decode(container: Container, data: bytes, shrink: int, longest_side: int) -> Image.Image:
    """The first frame of `data`, shrunk and in sRGB on white; raises whatever Pillow does."""
    with open_upload(data) as image:
        if image.size != container.size:
            raise ValueError("two sizes")
        width, height = image.size
        # Lets libjpeg shrink while it decodes, which saves most of the memory; other formats ignore it.
        image.draft(None, (max(1, width // shrink), max(1, height // shrink)))
        image.load()
        colours = to_eight_bits(image)
        # Shrunk before all other steps, so that none of them copies the full size.
        colours.thumbnail((longest_side, longest_side))
        return to_srgb_on_white(colours, container.profile)


def encode(image: Image.Image, orientation: int) -> bytes:
    """`image`, turned upright, as JPEG."""
    upright = image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image
    output = BytesIO()
    upright.save(output, "JPEG", quality=85, progressive=True, optimize=True)
    return output.getvalue()
