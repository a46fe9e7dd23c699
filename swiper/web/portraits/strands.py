"""Parts that hair is drawn from, and styles for women and men."""

from typing import NamedTuple


class Style(NamedTuple):
    """A hair style: `{h}` is hair, `{d}` hair in shade, `{w}` its sheen, `{t}` the palette's trim."""

    behind: str
    before: str


def strand(outline: str, colour: str = "{h}") -> str:
    """One shape of hair."""
    return f'<path d="{outline}" fill="{colour}"/>'


def sheen(line: str, width: int = 9) -> str:
    """A lighter line where light falls on the hair."""
    return f'<path d="{line}" fill="none" stroke="{{w}}" stroke-width="{width}" stroke-linecap="round" opacity=".55"/>'


def circles(places: tuple[tuple[int, int, int], ...], colour: str = "{h}") -> str:
    """Curls: x, y and radius of each."""
    return f'<g fill="{colour}">' + "".join(f'<circle cx="{x}" cy="{y}" r="{r}"/>' for x, y, r in places) + "</g>"


def mirrored(left: str) -> str:
    """The drawing and its mirror image."""
    return f'{left}<g transform="matrix(-1 0 0 1 600 0)">{left}</g>'


TOP_KNOT = circles(((300, 96, 58),)) + sheen("M270 84Q284 62 308 60", 8)
BEANIE = (
    '<path d="M172 262C172 160 230 112 300 112S428 160 428 262z" fill="{t}"/><rect x="160" y="236" width="280" '
    'height="52" '
    'rx="26" fill="{t}"/><rect x="160" y="236" width="280" height="52" rx="26" fill="#000" opacity=".14"/>'
    '<circle cx="300" cy="106" r="26" fill="#fff" opacity=".85"/>'
)
UNDER_BEANIE = strand("M184 340C176 300 178 276 186 262H414C422 276 424 300 416 340L402 288H198z")
