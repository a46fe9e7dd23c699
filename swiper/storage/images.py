"""Turns an upload into a plain JPEG of ours: what the sender's file carried beside its pixels is gone."""

from io import BytesIO

from PIL import Image, ImageFile
from PIL.Image import Transpose

from swiper.errors import ParamError
from swiper.storage.containers import JPEG_START, PNG_START, count_scans, orientation_in, strip_jpeg, strip_png

FORMATS = ("JPEG", "PNG", "WEBP")
UNREADABLE = "Not an image that we can read."
TOO_MANY_PIXELS = "The image has too many pixels."

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

# A progressive JPEG is decoded whole once for each of its scans: encoders write about ten, but a file of 10 MB has
# room for 150,000, which at 40 megapixels keep a processor busy for an hour (24 ms each, measured with Pillow 13).
MAX_SCANS = 50
# As JPEG has it. Pillow keeps some 20 bytes for each row beside its pixels: a column of 24 million takes 550 MB.
MAX_SIDE = 65_535


class TooManyPixelsError(Exception):
    """The header announces more pixels than we decode."""


def clean_image(data: bytes, *, field: str, max_pixels: int, longest_side: int = 1440) -> bytes:
    """A progressive JPEG of the upload `data`: upright, RGB, on white, without metadata, at most `longest_side` pixels.

    Takes JPEG, PNG and WebP, of animations the first frame. Raises ParamError at `field` for everything else, for a
    damaged file, and for one of more than `max_pixels`, which is refused before it is decoded.
    """
    try:
        plain, orientation = strip(data)
        check_header(plain, max_pixels)
        return encode(decode(plain, longest_side), orientation)
    except (TooManyPixelsError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ParamError(errors={field: [TOO_MANY_PIXELS]}) from error
    except Exception as error:
        # Pillow has no common error: a hostile file gets OSError, SyntaxError, ValueError, struct.error and others.
        raise ParamError(errors={field: [UNREADABLE]}) from error


def strip(data: bytes) -> tuple[bytes, int]:
    """`data` without what could keep Pillow busy beside the pixels, and its orientation; raises ValueError."""
    if data.startswith(JPEG_START):
        if count_scans(data) > MAX_SCANS:
            raise ValueError("too many scans")
        plain, exif = strip_jpeg(data)
    elif data.startswith(PNG_START):
        plain, exif = strip_png(data)
    else:
        # libwebp reads the container by itself, and fast.
        with open_upload(data) as image:
            plain, exif = data, image.info.get("exif", b"")
    return plain, orientation_in(exif)


def check_header(data: bytes, max_pixels: int) -> None:
    """Everything that can be told without decoding; raises TooManyPixelsError, or whatever Pillow does."""
    with open_upload(data) as image:
        if image.width * image.height > max_pixels or max(image.size) > MAX_SIDE:
            raise TooManyPixelsError
        # Finds damaged and missing chunks of a PNG, which decoding alone overlooks.
        image.verify()


def open_upload(data: bytes) -> ImageFile.ImageFile:
    """`data` with its header read; no other decoder of Pillow's, some of which start programs, gets to see it."""
    return Image.open(BytesIO(data), formats=FORMATS)


def decode(data: bytes, longest_side: int) -> Image.Image:
    """The first frame of `data`, shrunk and in RGB; raises whatever Pillow does."""
    with open_upload(data) as image:
        # Lets libjpeg shrink while it decodes, which saves most of the memory; other formats ignore it.
        image.draft("RGB", (2 * longest_side, 2 * longest_side))
        image.load()
        colours = to_colours(image)
        # Shrunk before all other steps, so that none of them copies the full size.
        colours.thumbnail((longest_side, longest_side))
        return on_white(colours)


def to_colours(image: Image.Image) -> Image.Image:
    """`image` in RGBA where any of it is transparent, otherwise in RGB."""
    if image.mode.startswith("I"):
        # Pillow would cut 16-bit grey off at 255 instead of scaling it.
        return image.convert("I").point(lambda value: value / 256).convert("L").convert("RGB")
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == mode else image.convert(mode)


def on_white(image: Image.Image) -> Image.Image:
    """A new RGB image, without `image.info`, from which the encoder would take a comment or XMP block."""
    canvas = Image.new("RGB", image.size, "white")
    canvas.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
    return canvas


def encode(image: Image.Image, orientation: int) -> bytes:
    """`image`, turned upright, as JPEG."""
    upright = image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image
    output = BytesIO()
    upright.save(output, "JPEG", quality=85, progressive=True, optimize=True)
    return output.getvalue()
