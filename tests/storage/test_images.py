"""What uploads turn into, and what becomes of hostile ones."""

import random
import struct
import time
import zipfile
import zlib
from io import BytesIO
from typing import Any

import pytest
from PIL import Image, ImageCms, ImageOps
from PIL.Image import Exif
from PIL.PngImagePlugin import PngInfo

from swiper.errors import ParamError
from swiper.storage.containers import orientation_in
from swiper.storage.images import HEIC, MAX_SIDE, TOO_MANY_PIXELS, UNREADABLE, clean_image
from swiper.storage.jpeg import MAX_SCANS, MAX_SEGMENTS, START_OF_SCAN, segments
from swiper.storage.png import MAX_CHUNKS
from tests.storage.samples import (
    GREY,
    JPEG_SIZE,
    MAX_BYTES,
    RGB,
    RGB_SPACES,
    chunk,
    encode,
    grey_profile,
    png,
    rgb_profile,
    riff,
)

MAX_PIXELS = 40_000_000
LIMITS: dict[str, Any] = {"field": "photo", "max_pixels": MAX_PIXELS, "max_bytes": MAX_BYTES}
COLOURS = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "black": (0, 0, 0), "white": (255, 255, 255)}
ORIENTATION, GPS, ARTIST = 0x0112, 0x8825, 0x013B


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


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_accepted_kinds_become_progressive_rgb_jpeg(kind: str) -> None:
    image = clean(encode(quadrants(), kind))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (64, 32))
    assert image.info.get("progressive")
    assert corners(image) == ["red", "lime", "blue", "black"]


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "ICO", "PPM"])
def test_other_kinds_are_refused(kind: str) -> None:
    assert refusal(encode(quadrants(), kind)) == {"photo": [UNREADABLE]}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_all_metadata_is_gone(kind: str) -> None:
    exif = Exif()
    exif[ARTIST] = "SECRET artist"
    exif.get_ifd(GPS).update({1: "N", 2: (31.0, 14.0, 0.0), 3: "E", 4: (121.0, 28.0, 0.0)})
    text = PngInfo()
    text.add_text("Comment", "SECRET text")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    special: dict[str, dict[str, Any]] = {"JPEG": {"comment": "SECRET comment"}, "PNG": {"pnginfo": text}, "WEBP": {}}
    options = special[kind]
    if kind != "PNG":
        options["xmp"] = b"<x:xmpmeta>SECRET xmp</x:xmpmeta>"
    data = encode(quadrants(), kind, exif=exif, icc_profile=profile, **options)
    assert Image.open(BytesIO(data)).getexif().get_ifd(GPS)
    cleaned = clean_image(data, **LIMITS)
    result = Image.open(BytesIO(cleaned))
    assert not result.getexif()
    assert not result.getexif().get_ifd(GPS)
    assert not {"exif", "xmp", "icc_profile", "comment"} & set(result.info)
    assert not [word for word in (b"SECRET", b"Exif", b"ICC_PROFILE") if word in cleaned]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(orientation: int, kind: str) -> None:
    exif = Exif()
    exif[ORIENTATION] = orientation
    data = encode(quadrants(), kind, exif=exif, quality=95, subsampling=0)
    expected = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    assert expected is not None
    image = clean(data)
    assert image.size == expected.size
    assert corners(image) == corners(expected)


def exif_with(*entries: tuple[int, int, int, bytes]) -> bytes:
    """An EXIF block with these (tag, type, count, value) entries, as odd as they may be."""
    body = b"".join(struct.pack("<HHI4s", *entry) for entry in entries)
    return b"Exif\x00\x00II*\x00\x08\x00\x00\x00" + struct.pack("<H", len(entries)) + body + bytes(4)


def test_tag_of_unexpected_type_does_not_cost_the_photo() -> None:
    data = encode(quadrants(), "JPEG", exif=exif_with((ORIENTATION, 3, 1, b"\x06"), (0xFE, 2, 1, b"0")))
    with pytest.raises(struct.error):
        ImageOps.exif_transpose(Image.open(BytesIO(data)))
    assert clean(data).size == (32, 64)


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\x00\x00garbage!",
        b"Exif\x00\x00II*",
        b"Exif\x00\x00II*\x00\xff\xff\xff\xff",
        b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff",
        exif_with((ORIENTATION, 2, 1, b"a")),
        exif_with((ORIENTATION, 3, 2, b"\x06\x00\x06\x00")),
        exif_with((ORIENTATION, 3, 1, b"\x00")),
        exif_with((ORIENTATION, 3, 1, b"\x09")),
    ],
)
def test_broken_exif_does_not_cost_the_photo(exif: bytes) -> None:
    assert clean(encode(quadrants(), "JPEG", exif=exif)).size == (64, 32)


def test_orientation_of_either_byte_order_is_read() -> None:
    little = exif_with((0x010F, 2, 1, b"a"), (ORIENTATION, 3, 1, b"\x08"))
    big = b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"
    assert [orientation_in(block) for block in (little, little[6:], big, b"")] == [8, 8, 6, 1]


def test_picture_with_further_ones_behind_it_gives_the_first() -> None:
    """As phones store depth maps and larger ranges of brightness."""
    data = encode(quadrants(), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 32), "white")])
    assert getattr(Image.open(BytesIO(data)), "n_frames", 1) == 2
    assert corners(clean(data)) == ["red", "lime", "blue", "black"]


def test_large_image_is_shrunk_in_its_proportions() -> None:
    assert clean(encode(Image.new("RGB", (4000, 1000)), "JPEG")).size == (1440, 360)
    assert clean(encode(Image.new("RGB", (1000, 4000)), "PNG"), longest_side=400).size == (100, 400)
    assert clean(encode(Image.new("RGB", (3, 6000)), "PNG")).size == (1, 1440)


def test_smallest_image_is_taken_and_never_enlarged() -> None:
    assert clean(encode(Image.new("RGB", (1, 1)), "PNG")).size == (1, 1)


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


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animation_gives_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
    assert getattr(Image.open(BytesIO(data)), "n_frames", 1) == 2
    assert corners(clean(data)) == ["red"] * 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.7, 0.99])
def test_truncated_file_is_refused(kind: str, kept: float) -> None:
    data = encode(noise(), kind)
    assert refusal(data[: int(len(data) * kept)]) == {"photo": [UNREADABLE]}


def test_damaged_png_chunk_is_refused() -> None:
    data = bytearray(encode(noise(), "PNG"))
    data[data.rindex(b"IEND") - 5] ^= 1
    Image.open(BytesIO(data)).load()
    assert refusal(bytes(data)) == {"photo": [UNREADABLE]}


def test_pixels_are_counted_before_decoding() -> None:
    assert refusal(encode(Image.new("1", (300, 200)), "PNG"), max_pixels=59_999) == {"photo": [TOO_MANY_PIXELS]}
    assert clean(encode(Image.new("1", (300, 200)), "PNG"), max_pixels=60_000).size == (300, 200)


@pytest.mark.parametrize("size", [(7000, 7000), (10_000, 10_000), (65_535, 65_535), (2**31 - 1, 2**31 - 1)])
def test_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    started = time.process_time()
    assert refusal(png_header(*size)) == {"photo": [TOO_MANY_PIXELS]}
    assert time.process_time() - started < 0.5


def test_sides_are_counted_beside_pixels() -> None:
    assert clean(encode(Image.new("1", (1, MAX_SIDE)), "PNG")).size == (1, 1440)
    assert refusal(encode(Image.new("1", (1, MAX_SIDE + 1)), "PNG")) == {"photo": [TOO_MANY_PIXELS]}
    assert refusal(encode(Image.new("1", (MAX_SIDE + 1, 1)), "PNG")) == {"photo": [TOO_MANY_PIXELS]}


def test_jpeg_of_many_segments_is_refused_wherever_they_stand() -> None:
    data, comment = encode(quadrants(), "JPEG"), b"\xff\xfe\x00\x02"
    assert clean(data[:2] + comment * (MAX_SEGMENTS - 20) + data[2:]).size == (64, 32)
    assert refusal(data[:2] + comment * MAX_SEGMENTS + data[2:]) == {"photo": [UNREADABLE]}
    assert refusal(data[:-2] + comment * MAX_SEGMENTS + data[-2:]) == {"photo": [UNREADABLE]}


def test_png_of_many_chunks_is_refused() -> None:
    data, text = encode(quadrants(), "PNG"), chunk(b"tEXt", b"")
    assert clean(data[:33] + text * (MAX_CHUNKS - 10) + data[33:]).size == (64, 32)
    assert refusal(data[:33] + text * MAX_CHUNKS + data[33:]) == {"photo": [UNREADABLE]}


def count_scans(data: bytes) -> int:
    return sum(code == START_OF_SCAN for code, _, _ in segments(data))


def test_jpeg_of_many_scans_is_refused() -> None:
    data = encode(quadrants(), "JPEG", progressive=True)
    last_scan = data[data.rindex(b"\xff\xda") : -2]
    assert count_scans(data) == 10
    few, many = MAX_SCANS - 10, MAX_SCANS - 9
    assert clean(data[:-2] + last_scan * few + data[-2:]).size == (64, 32)
    assert refusal(data[:-2] + last_scan * many + data[-2:]) == {"photo": [UNREADABLE]}
    # A marker without a length, followed by what looks like a great one, does not hide the scans behind it.
    hiding = b"\xff\x01\xff\xff"
    assert count_scans(data[:-2] + hiding + last_scan * 60 + data[-2:]) == 70


def test_scans_of_a_thumbnail_or_behind_the_image_do_not_count() -> None:
    thumbnail = encode(quadrants(), "JPEG", progressive=True)
    data = encode(quadrants(), "JPEG", exif=b"Exif\x00\x00" + thumbnail) + b"\x00\x00" + thumbnail[2:]
    assert count_scans(data) == 1


def archive() -> bytes:
    """A ZIP file, as programs and documents are, which its readers look for from the end."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("payload.html", "<script>alert('payload')</script>")
    return made.getvalue()


PAYLOADS = {
    "archive": archive(),
    "page": b"<!doctype html><script>alert('payload')</script>",
    "program": b"*/=1;alert('payload')/*<?php system($_GET['payload']); ?>",
    "document": b"%PDF-1.7 payload\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
}


def hidings(payload: bytes) -> list[bytes]:
    """Good pictures with `payload` in each place where there is room for it."""
    jpeg, plain, webp = (encode(quadrants(), kind) for kind in ("JPEG", "PNG", "WEBP"))
    length = struct.pack(">H", len(payload) + 2)
    unknown = b"EVIL" + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) % 2)
    return [
        *(picture + payload for picture in (jpeg, plain, webp)),
        *(
            jpeg[:2] + marker + length + payload + jpeg[2:]
            for marker in (b"\xff\xfe", b"\xff\xe0", b"\xff\xe1", b"\xff\xee")
        ),
        jpeg[:2] + payload.replace(b"\xff", b"") + jpeg[2:],
        *(plain[:33] + chunk(name, payload) + plain[33:] for name in (b"tEXt", b"eXIf", b"iTXt", b"evIl")),
        plain[:-12] + chunk(b"tEXt", b"Comment\0" + payload) + plain[-12:],
        webp[:4] + struct.pack("<I", len(webp) - 8 + len(unknown)) + webp[8:] + unknown,
    ]


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_polyglot_keeps_only_its_pixels(payload: bytes) -> None:
    for data in hidings(payload):
        assert b"payload" in data
        cleaned = clean_image(data, **LIMITS)
        assert corners(clean(data)) == ["red", "lime", "blue", "black"]
        assert not zipfile.is_zipfile(BytesIO(cleaned))
        assert b"payload" not in cleaned


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_file_that_begins_as_something_else_is_refused(kind: str, payload: bytes) -> None:
    assert refusal(payload + encode(quadrants(), kind)) == {"photo": [UNREADABLE]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\xff\xd8",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0\x00\x10JFIF\x00<script>alert(1)</script>",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\x00\x00\x00\x00WEBP",
        b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<!doctype html><script>alert(1)</script>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        png_header(0, 10),
        png_header(10, 10),
    ],
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    assert refusal(data, field="avatar") == {"avatar": [UNREADABLE]}


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


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("missing", [1, 2])
def test_jpeg_without_its_end_mark_is_taken(options: dict[str, Any], missing: int) -> None:
    for image in (quadrants(), noise(), noise((61, 47)), noise().convert("L")):
        data = encode(image, "JPEG", quality=90, **options)
        assert clean(data[:-missing]).tobytes() == clean(data).tobytes()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("missing", [12, 40, 400, 4_000])
def test_jpeg_without_its_last_pixels_is_refused(options: dict[str, Any], missing: int) -> None:
    # Its blocks are all to be seen: of those that reach beyond the edge, nobody would miss the rest.
    data = encode(noise((208, 144)), "JPEG", quality=90, **options)
    assert refusal(data[:-missing]) == {"photo": [UNREADABLE]}


@pytest.mark.parametrize(
    "size", [(5712, 4284), (8064, 6048), (8160, 6120), JPEG_SIZE, (65_500, 1_500), (1_500, 65_500)]
)
def test_large_photo_is_taken(size: tuple[int, int]) -> None:
    image = clean(encode(quadrants(size), "JPEG"), max_pixels=100_000_000)
    assert max(image.size) == 1440
    assert corners(image) == ["red", "lime", "blue", "black"]


def test_memory_is_counted_before_decoding() -> None:
    data = encode(quadrants((3000, 2000)), "JPEG", progressive=True, subsampling=0)
    # Six bytes of coefficients for each pixel, and four for each of those that are left after shrinking.
    assert refusal(data, max_bytes=41_999_999) == {"photo": [TOO_MANY_PIXELS]}
    assert clean(data, max_bytes=60_000_000).size == (1440, 960)
    assert clean(encode(quadrants((3000, 2000)), "JPEG"), max_bytes=24_000_000).size == (1440, 960)


def test_webp_of_any_kind_tells_its_size_before_it_is_opened() -> None:
    plain, alpha = quadrants((300, 200)), quadrants((300, 200)).convert("RGBA")
    kinds = (encode(plain, "WEBP"), encode(plain, "WEBP", lossless=True), encode(alpha, "WEBP", exact=True))
    for data in kinds:
        assert refusal(data, max_pixels=59_999) == {"photo": [TOO_MANY_PIXELS]}
        assert clean(data, max_pixels=60_000).size == (300, 200)
    assert refusal(riff([(b"VP8 ", b"abc")])) == {"photo": [UNREADABLE]}


def iso_file(*brands: bytes) -> bytes:
    """The head of a file that has the first of `brands` itself and is compatible with the others."""
    own, *others = brands
    return struct.pack(">I", 16 + 4 * len(others)) + b"ftyp" + own + bytes(4) + b"".join(others) + bytes(100)


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"hevc"])
def test_heic_is_told_what_to_do(brand: bytes) -> None:
    assert refusal(iso_file(brand)) == {"photo": [HEIC]}


@pytest.mark.parametrize("brands", [(b"MiHB", b"mif1", b"heic"), (b"mp42", b"heix"), (b"mif2", b"miaf", b"heic")])
def test_heic_is_known_by_what_it_is_compatible_with(brands: tuple[bytes, ...]) -> None:
    assert refusal(iso_file(*brands)) == {"photo": [HEIC]}


@pytest.mark.parametrize("brands", [(b"avif", b"mif1", b"miaf"), (b"mif1", b"avif"), (b"isom", b"mp42")])
def test_no_other_file_is_called_heic(brands: tuple[bytes, ...]) -> None:
    assert refusal(iso_file(*brands)) == {"photo": [UNREADABLE]}
