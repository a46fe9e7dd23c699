"""Colours of uploads: eight bits, sRGB, on white."""

import logging
from io import BytesIO

from PIL import Image, ImageCms
from PIL.ImageCms import Flags, Intent

log = logging.getLogger(__name__)

# The mode in which Pillow has a picture whose profile is of this colour space (ICC.1:2010, table 19).
MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def to_eight_bits(image: Image.Image) -> Image.Image:
    """`image` with eight bits a channel, in L, LA, RGB, RGBA or CMYK; palette and transparent colour applied."""
    transparency = image.info.get("transparency")
    if image.mode.startswith("I"):
        # Pillow would cut 16-bit grey off at 255 instead of scaling it.
        grey = image.convert("I").point(lambda value: value / 256).convert("L")
        return grey if transparency is None else _without(grey, transparency >> 8)
    if image.mode == "RGB" and isinstance(transparency, tuple) and max(transparency) > 255:
        # The one transparent colour of a 16-bit picture, which Pillow has cut down to eight bits.
        image.info["transparency"] = tuple(value >> 8 for value in transparency)
    if image.has_transparency_data:
        wanted = "LA" if image.mode in ("L", "LA") else "RGBA"
        return image if image.mode == wanted else image.convert(wanted)
    if image.mode in MODES.values():
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _without(grey: Image.Image, transparent: int) -> Image.Image:
    """`grey` in LA, where what has the value `transparent` is not to be seen."""
    return Image.merge("LA", (grey, grey.point(lambda value: 0 if value == transparent else 255)))


def to_srgb_on_white(image: Image.Image, profile: bytes) -> Image.Image:
    """A new RGB image in sRGB on white, without `image.info`, from which the encoder would take a comment or XMP block.

    `image` is what `to_eight_bits` gives, `profile` its ICC profile; one that is empty, damaged or made for other
    colours is passed over: then the picture is taken for sRGB, as browsers do.
    """
    mask = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    colours = image.convert(image.mode.removesuffix("A")) if mask else image
    converted = (_convert(colours, profile) if profile else None) or colours.convert("RGB")
    canvas = Image.new("RGB", image.size, "white")
    canvas.paste(converted, mask=mask)
    return canvas


def _convert(image: Image.Image, profile: bytes) -> Image.Image | None:
    """`image` converted from `profile` to sRGB; None where the profile does not fit."""
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
        log.info("a colour profile is passed over: %s", type(error).__name__)
        return None
