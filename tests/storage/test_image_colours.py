"""Colours of uploads: modes, transparency and colour profiles end up as sRGB on white."""

import struct
import zlib
from io import BytesIO
from typing import Any

import pytest
from PIL import Image, ImageCms

from tests.storage.cleaning import clean
from tests.storage.samples import (
    GREY,
    RGB,
    RGB_SPACES,
    encode,
    grey_profile,
    png,
    rgb_profile,
)


@pytest.mark.parametrize(
    ("mode", "colour", "kind", "expected"),
    [
        ("CMYK", (0, 255, 255, 0), "JPEG", (255, 0, 0)),
        ("L", 100, "JPEG", (100, 100, 100)),
        ("1", 1, "PNG", (255, 255, 255)),
        ("P", 0, "PNG", (0, 0, 0)),
        ("LA", (0, 0), "PNG", (255, 255, 255)),
        ("LA", (80, 255), "PNG", (80, 80, 80)),
        ("I;16", 100 * 256, "PNG", (100, 100, 100)),
        ("RGBA", (0, 0, 0, 0), "PNG", (255, 255, 255)),
        ("RGBA", (255, 0, 0, 255), "PNG", (255, 0, 0)),
        ("RGBA", (0, 0, 0, 128), "WEBP", (127, 127, 127)),
    ],
)
def test_colour_modes_become_rgb_on_white(mode: str, colour: Any, kind: str, expected: tuple[int, ...]) -> None:
    image = clean(encode(Image.new(mode, (20, 20), colour), kind))
    assert image.mode == "RGB"
    pixel = image.getpixel((10, 10))
    assert isinstance(pixel, tuple)
    assert all(abs(a - b) <= 4 for a, b in zip(pixel, expected, strict=True))


@pytest.mark.parametrize("mode", ["P", "L", "RGB", "I;16"])
def test_single_transparent_colour_is_taken(mode: str) -> None:
    transparency = (0, 0, 0) if mode == "RGB" else 0
    image = clean(encode(Image.new(mode, (20, 20)), "PNG", transparency=transparency))
    assert image.size == (20, 20)


def is_near(pixel: Any, expected: tuple[int, ...], most: int = 6) -> bool:
    return all(abs(a - b) <= most for a, b in zip(pixel, expected, strict=True))


def in_space(colour: tuple[int, ...], profile: bytes, size: tuple[int, int] = (32, 32)) -> Image.Image:
    """A picture that shows the sRGB `colour` and is written in the colours of `profile`."""
    image = Image.new("RGB", size, colour)
    own = ImageCms.ImageCmsProfile(BytesIO(profile))
    converted = ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), own, renderingIntent=1)
    assert converted is not None
    return converted


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("space", RGB_SPACES)
@pytest.mark.parametrize("colour", [(220, 40, 40), (40, 200, 60), (30, 60, 210), (128, 128, 128)])
def test_colours_of_a_profile_become_srgb(kind: str, space: str, colour: tuple[int, int, int]) -> None:
    profile = rgb_profile(space)
    stored = in_space(colour, profile)
    options = {"JPEG": {"quality": 98, "subsampling": 0}, "PNG": {}, "WEBP": {"lossless": True}}[kind]
    data = encode(stored, kind, icc_profile=profile, **options)
    assert is_near(clean(data).getpixel((16, 16)), colour)


def test_issue_s_red_in_prophoto_keeps_its_colour() -> None:
    assert is_near(in_space((220, 40, 40), rgb_profile("ProPhoto")).getpixel((0, 0)), (151, 68, 38))


def test_long_profile_comes_in_several_segments() -> None:
    profile = rgb_profile("ProPhoto")
    padded = profile + bytes(150_000)
    padded = struct.pack(">I", len(padded)) + padded[4:]
    data = encode(in_space((220, 40, 40), profile), "JPEG", icc_profile=padded, quality=98, subsampling=0)
    assert data.count(b"ICC_PROFILE\0") == 3
    assert is_near(clean(data).getpixel((16, 16)), (220, 40, 40))


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_grey_profile_is_applied(mode: str) -> None:
    value: Any = {"L": 128, "LA": (128, 255), "I;16": 128 * 257}[mode]
    data = encode(Image.new(mode, (8, 8), value), "PNG", icc_profile=grey_profile(1.0))
    assert is_near(clean(data).getpixel((4, 4)), (188, 188, 188))


def test_profile_applies_below_transparency() -> None:
    profile = rgb_profile("ProPhoto")
    image = in_space((220, 40, 40), profile)
    image.putalpha(Image.new("L", image.size, 255))
    image.paste((0, 0, 0, 0), (0, 0, 16, 32))
    cleaned = clean(encode(image, "PNG", icc_profile=profile))
    assert is_near(cleaned.getpixel((26, 16)), (220, 40, 40))
    assert is_near(cleaned.getpixel((5, 16)), (255, 255, 255))


@pytest.mark.parametrize(
    "profile",
    [
        b"",
        b"garbage",
        rgb_profile("ProPhoto")[:200],
        rgb_profile("ProPhoto")[:128] + b"\xff" * 400,
        grey_profile(1.0),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_profile_that_does_not_fit_costs_nothing_but_itself(kind: str, profile: bytes) -> None:
    data = encode(Image.new("RGB", (32, 32), (220, 40, 40)), kind, icc_profile=profile)
    assert is_near(clean(data).getpixel((16, 16)), (220, 40, 40))


def test_part_of_a_profile_that_is_missing_costs_nothing_but_the_profile() -> None:
    data = encode(Image.new("RGB", (32, 32), (220, 40, 40)), "JPEG", icc_profile=rgb_profile("ProPhoto"))
    counts = data.index(b"ICC_PROFILE\0") + 12
    assert is_near(clean(data[:counts] + b"\1\2" + data[counts + 2 :]).getpixel((16, 16)), (220, 40, 40))


def deep_png(colour: int, pixel: tuple[int, ...], transparent: tuple[int, ...]) -> bytes:
    """A 16-bit PNG of one colour but for its left half, which has the transparent one."""
    row = b"\0" + struct.pack(f">{len(transparent)}H", *transparent) * 8 + struct.pack(f">{len(pixel)}H", *pixel) * 8
    before = [(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent))]
    return png((16, 16), zlib.compress(row * 16), depth=16, colour=colour, before=before)


@pytest.mark.parametrize(
    ("colour", "pixel", "transparent", "expected"),
    [
        (GREY, (40_000,), (0,), (156, 156, 156)),
        (GREY, (0,), (65_535,), (0, 0, 0)),
        (RGB, (60_000, 1_000, 1_000), (0, 0, 0), (234, 4, 4)),
        (RGB, (0, 0, 50_000), (12_345, 6_789, 257), (0, 0, 195)),
    ],
)
def test_transparent_colour_of_16_bits_is_white(
    colour: int, pixel: tuple[int, ...], transparent: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    image = clean(deep_png(colour, pixel, transparent))
    assert is_near(image.getpixel((2, 8)), (255, 255, 255))
    assert is_near(image.getpixel((13, 8)), expected)
