"""Robots' avatars: drawn from a seed when they are asked for, so a million robots need no million files."""

import colorsys
import random

SIZE = 480
SKIN = ("#f6d3b3", "#eabf96", "#d9a171", "#b97a4f", "#8d5a3b")
HAIR = ("#1f1a17", "#3b2a20", "#5b3a24", "#7a4b2a", "#2c2c34")


def draw_portrait(sex: str, seed: int) -> str:
    """An SVG portrait of a `male` or `female` person, always the same for one seed."""
    pick = random.Random(seed)
    hue = pick.random()
    back, light, shirt = _colour(hue, 0.45, 0.86), _colour(hue + 0.08, 0.5, 0.95), _colour(hue + 0.5, 0.55, 0.7)
    skin, hair = pick.choice(SKIN), pick.choice(HAIR)
    face = pick.randint(92, 108)
    eye, mouth = pick.randint(34, 42), pick.randint(18, 34)
    length = pick.randint(60, 140) if sex == "female" else pick.randint(-60, -20)
    fringe = f"q6-{pick.randint(120, 150)} {face + 6}-{pick.randint(122, 140)}t{face + 6} {pick.randint(124, 136)}"
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" width="{SIZE}" height="{SIZE}">
<defs><linearGradient id="b" x2="1" y2="1"><stop stop-color="{light}"/><stop offset="1" stop-color="{back}"/>
</linearGradient></defs>
<rect width="480" height="480" fill="url(#b)"/>
<rect x="{235 - face}" y="190" width="{2 * face + 10}" height="{60 + length}" rx="40" fill="{hair}"/>
<path d="M90 480c0-95 62-130 150-130s150 35 150 130z" fill="{shirt}"/>
<rect x="208" y="300" width="64" height="80" rx="30" fill="{skin}"/>
<ellipse cx="240" cy="230" rx="{face}" ry="{face + 22}" fill="{skin}"/>
<path d="M{240 - face - 6} 225{fringe}q-{pick.randint(30, 90)}-70-{face}-72t-{face + 12} 80z" fill="{hair}"/>
<g fill="#2b2523"><circle cx="{240 - eye}" cy="235" r="8"/><circle cx="{240 + eye}" cy="235" r="8"/></g>
<path d="M{240 - mouth} 288q{mouth} {pick.randint(14, 30)} {2 * mouth} 0" fill="none" stroke="#8c3b3b" stroke-width="6"
stroke-linecap="round"/></svg>"""


def _colour(hue: float, saturation: float, value: float) -> str:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return f"#{int(red * 255):02x}{int(green * 255):02x}{int(blue * 255):02x}"
