"""Hair, in the colours of each person: a part behind the head and a part in front of it."""

import random

from swiper.web.portraits.hair_of_men import MEN
from swiper.web.portraits.hair_of_women import WOMEN
from swiper.web.portraits.look import Look


def draw_hair(look: Look, pick: random.Random) -> tuple[str, str]:
    """The drawings of the part behind the head and of the part in front of the face."""
    style = pick.choice(WOMEN if look.is_female else MEN)
    behind, before = (_coloured(part, look) for part in style)
    return behind, before


def _coloured(part: str, look: Look) -> str:
    colours = {"{h}": look.hair.light, "{d}": look.hair.shade, "{w}": look.hair.sheen, "{t}": look.palette.trim}
    for mark, colour in colours.items():
        part = part.replace(mark, colour)
    return part
