"""Pictures that people upload become upright plain JPEG files."""

import struct
from io import BytesIO
from typing import Any

import pytest
from PIL import Image, ImageCms, ImageOps
from PIL.Image import Exif
from PIL.PngImagePlugin import PngInfo

from swiper.storage.containers import orientation_in
from swiper.storage.images import HEIC, UNREADABLE, clean_image
from tests.storage.cleaning import LIMITS, clean, corners, noise, quadrants, refusal
from tests.storage.samples import (
    JPEG_SIZE,
    encode,
)

ORIENTATION, GPS, ARTIST = 0x0112, 0x8825, 0x013B


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


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animation_gives_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
    assert getattr(Image.open(BytesIO(data)), "n_frames", 1) == 2
    assert corners(clean(data)) == ["red"] * 4


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
