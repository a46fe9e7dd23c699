"""The colours and the build of a portrait, which are chosen before anything is drawn."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """The colours around a person: `back` from top to bottom, `shape` in the backdrop, `cloth` and its `trim`."""

    back: tuple[str, str]
    shape: str
    cloth: tuple[str, ...]
    trim: str


@dataclass(frozen=True)
class Skin:
    """One complexion: in light, in shade, and the colour of cheeks and lips."""

    light: str
    shade: str
    blush: str
    lips: str
    is_dark: bool = False


@dataclass(frozen=True)
class Hair:
    """A hair colour: in light, in shade, and its sheen."""

    light: str
    shade: str
    sheen: str


@dataclass(frozen=True)
class Look:
    """One person's colours and build; `breadth` of the head is about 1."""

    is_female: bool
    palette: Palette
    skin: Skin
    hair: Hair
    cloth: str
    breadth: float
    shoulders: float


PALETTES = (
    Palette(("#ffe3d8", "#ffc2b0"), "#ff9f8a", ("#2f4858", "#fdf6ef", "#e8575a"), "#ffd166"),
    Palette(("#fdeccb", "#f8cf9a"), "#f2b263", ("#3d5a6c", "#ffffff", "#c8553d"), "#7a9e9f"),
    Palette(("#dff1ea", "#b3dccd"), "#7fc2a9", ("#f4f1de", "#2a6f6b", "#e07a5f"), "#f2cc8f"),
    Palette(("#e1edfb", "#b5d0f0"), "#86afe0", ("#fefefe", "#29456f", "#f2a65a"), "#ef8275"),
    Palette(("#efe6fb", "#cfbdf0"), "#ab93dd", ("#fff5e9", "#4b3b78", "#f2849e"), "#ffd1a6"),
    Palette(("#ffe4ee", "#fbbfd3"), "#f193b1", ("#ffffff", "#7a2e4f", "#5b7db1"), "#ffd166"),
    Palette(("#dff3f6", "#a9dbe3"), "#6fbfcb", ("#fdfcf7", "#11566a", "#ff8a70"), "#f7d08a"),
    Palette(("#f3ecdf", "#dcccb0"), "#c2aa82", ("#5a6b4f", "#faf6ee", "#9c4a3c"), "#d9a566"),
    Palette(("#e9efd6", "#c6d6a0"), "#9db56a", ("#fffdf4", "#4c5f35", "#d9765a"), "#f3d27a"),
    Palette(("#2f3e5c", "#4b628a"), "#6d86b3", ("#f3efe6", "#d97b66", "#22304a"), "#f4c27a"),
    Palette(("#3f2f4f", "#79547a"), "#a87a9f", ("#f6e9e1", "#e59a8c", "#2d2238"), "#f1c98b"),
    Palette(("#fff0c9", "#ffd97d"), "#f5b944", ("#ffffff", "#31566b", "#dc5f51"), "#4a8f8c"),
    Palette(("#ffdccb", "#f4a48b"), "#d97c66", ("#264653", "#fff4ea", "#5d3a52"), "#f6c667"),
    Palette(("#1f4f57", "#3c7f80"), "#66a79f", ("#f7efe2", "#ee9b73", "#17343c"), "#f5cf87"),
)
SKINS = (
    Skin("#fde0cc", "#f3bfa3", "#f59a8f", "#d9606a"),
    Skin("#fbd7ba", "#ecb28c", "#f08e7d", "#d0585c"),
    Skin("#f7cda6", "#e2a677", "#e98366", "#c6524f"),
    Skin("#f0bd92", "#d6955f", "#df7a59", "#bb4c48"),
    Skin("#dea374", "#bf7d4c", "#cf6a4a", "#a8443c"),
    Skin("#c08558", "#9d6238", "#b6583d", "#8f3a33", is_dark=True),
    Skin("#99623e", "#784728", "#9c4732", "#7c302c", is_dark=True),
    Skin("#714630", "#53301f", "#8a3d30", "#6d2a2a", is_dark=True),
)
# Lighter skin is more frequent, as in the cities of the robots.
SKIN_WEIGHTS = (5, 6, 6, 5, 3, 2, 2, 1)
DARK_HAIR = (
    Hair("#26232b", "#17151b", "#4a4655"),
    Hair("#2f2622", "#1d1714", "#5a4840"),
    Hair("#40291f", "#2a1a13", "#6e4a38"),
    Hair("#232a3a", "#151a26", "#475575"),
)
LIGHT_HAIR = (
    Hair("#5f3b26", "#432817", "#8d5f41"),
    Hair("#855232", "#633a20", "#b27b53"),
    Hair("#b5793f", "#8f5a29", "#dba668"),
    Hair("#a5472f", "#7d311e", "#d17352"),
    Hair("#d9ae6b", "#b48746", "#f0d29b"),
    Hair("#8d8a92", "#6b6870", "#b8b5bd"),
    Hair("#c7617f", "#9e4562", "#e68fa8"),
    Hair("#3f6f86", "#2a5166", "#6d9db3"),
)


def choose_look(sex: str, pick: random.Random) -> Look:
    """The colours and the build of a `male` or `female` person."""
    is_female = sex == "female"
    palette = pick.choice(PALETTES)
    skin = pick.choices(SKINS, SKIN_WEIGHTS)[0]
    is_fair = not skin.is_dark and pick.random() < 0.42
    hair = pick.choice(LIGHT_HAIR if is_fair else DARK_HAIR)
    breadth = pick.choice((0.93, 0.96, 0.99)) if is_female else pick.choice((0.97, 1.0, 1.04))
    shoulders = pick.uniform(0.84, 0.92) if is_female else pick.uniform(1.0, 1.1)
    return Look(is_female, palette, skin, hair, pick.choice(palette.cloth), breadth, round(shoulders, 2))
