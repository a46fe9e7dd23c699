"""Converts pictures to eight bits per channel, sRGB, on a white background."""

import logging
from io import BytesIO

from PIL import Image, ImageCms
from PIL.ImageCms import Flags, Intent

log = logging.getLogger(__name__)

# By the colour space of a profile (ICC.1:2010, table 19): the mode that Pillow uses for its pictures.
MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def to_eight_bits(image: Image.Image) -> Image.Image:
    """`image` with eight bits per channel, in mode L, LA, RGB, RGBA or CMYK, without palette or transparent colour."""
    transparency = image.info.get("transparency")
    if image.mode.startswith("I"):
        # Pillow would clip 16-bit grey at 255 instead of scaling it.
        grey = image.convert("I").point(lambda value: value / 256).convert("L")
        return grey if transparency is None else _without(grey, transparency >> 8)
    if image.mode == "RGB" and isinstance(transparency, tuple) and max(transparency) > 255:
        # The transparent colour of a 16-bit picture, whose pixels Pillow has already reduced to eight bits.
        image.info["transparency"] = tuple(value >> 8 for value in transparency)
    if image.has_transparency_data:
        wanted = "LA" if image.mode in ("L", "LA") else "RGBA"
        return image if image.mode == wanted else image.convert(wanted)
    if image.mode in MODES.values():
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _without(grey: Image.Image, transparent: int) -> Image.Image:
    """`grey` in mode LA; pixels with the value `transparent` are invisible."""
    return Image.merge("LA", (grey, grey.point(lambda value: 0 if value == transparent else 255)))


def to_srgb_on_white(image: Image.Image, profile: bytes) -> Image.Image:
    """A new RGB image in sRGB on white. It has no `info`, from which the encoder would write a comment or XMP block.

    `image` is a result of `to_eight_bits`, `profile` its ICC profile. A profile that is empty, damaged or made for
    another colour space is ignored: the picture is then taken for sRGB, as browsers do.
    """
    mask = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    colours = image.convert(image.mode.removesuffix("A")) if mask else image
    converted = (_convert(colours, profile) if profile else None) or colours.convert("RGB")
    canvas = Image.new("RGB", image.size, "white")
    canvas.paste(converted, mask=mask)
    return canvas


def _convert(image: Image.Image, profile: bytes) -> Image.Image | None:
    """`image` converted from `profile` to sRGB; None if the profile does not fit the image."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        mode = MODES.get(source.profile.xcolor_space.strip())
        if mode is None or (mode != image.mode and (mode, image.mode) != ("RGB", "L")):
            return None
        return ImageCms.profileToProfile(
            image.convert(mode),
            source,
            ImageCms.createProfile("sRGB"),
            renderingIntent=Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        log.info("a colour profile is ignored: %s", type(error).__name__)
        return None
