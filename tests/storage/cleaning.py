"""Pictures for the tests, and what `clean_image` makes of them."""

import random
import zlib
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from swiper.errors import ParamError
from swiper.storage.images import clean_image
from tests.storage.samples import (
    MAX_BYTES,
    png,
)

MAX_PIXELS = 40_000_000


LIMITS: dict[str, Any] = {"field": "photo", "max_pixels": MAX_PIXELS, "max_bytes": MAX_BYTES}


COLOURS = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "black": (0, 0, 0), "white": (255, 255, 255)}


def clean(data: bytes, **changes: Any) -> Image.Image:
    """The decoded result of `clean_image`, loaded."""
    image = Image.open(BytesIO(clean_image(data, **(LIMITS | changes))))
    image.load()
    return image


def refusal(data: bytes, **changes: Any) -> Any:
    """The reasons for which `clean_image` refuses `data`, by field."""
    with pytest.raises(ParamError) as caught:
        clean_image(data, **(LIMITS | changes))
    return caught.value.errors


def quadrants(size: tuple[int, int] = (64, 32)) -> Image.Image:
    """Red, green, blue and black quarters: no turn or flip of it looks like another."""
    width, height = size
    image = Image.new("RGB", size, "black")
    image.paste("red", (0, 0, width // 2, height // 2))
    image.paste("lime", (width // 2, 0, width, height // 2))
    image.paste("blue", (0, height // 2, width // 2, height))
    return image


def noise(size: tuple[int, int] = (200, 150)) -> Image.Image:
    """An image that does not compress, so that a cut always takes pixels with it; the same each time."""
    width, height = size
    return Image.frombytes("RGB", size, random.Random(1).randbytes(width * height * 3))


def corners(image: Image.Image) -> list[str]:
    """The colours near the four corners, by name."""
    width, height = image.size
    points = [(4, 4), (width - 5, 4), (4, height - 5), (width - 5, height - 5)]
    return [nearest(image.getpixel(point)) for point in points]


def nearest(pixel: Any) -> str:
    """The name in COLOURS that comes closest to `pixel`, which JPEG has changed a little."""
    return min(COLOURS, key=lambda name: sum(abs(a - b) for a, b in zip(COLOURS[name], pixel, strict=True)))


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces a size and has next to no data."""
    return png((width, height), zlib.compress(b""))
