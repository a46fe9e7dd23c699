"""Portraits of robots, drawn from a seed for each request: a million robots need no files.

This package draws everything: the pictures show no real people and have the licence of this project. A portrait
is 600 x 800, with the head in the upper middle, so that it fills a card and its upper square an avatar.
"""

import random

from swiper.web.portraits.backdrops import draw_backdrop
from swiper.web.portraits.clothes import draw_clothes
from swiper.web.portraits.faces import draw_face, draw_neck
from swiper.web.portraits.hair import draw_hair
from swiper.web.portraits.look import Look, choose_look

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 800" width="600" height="800">'


def draw_portrait(sex: str, seed: int) -> str:
    """An SVG portrait of a `male` or `female` person, always the same for one seed."""
    # A text is hashed when it is the seed. With numbers, neighbouring seeds would start with similar choices.
    pick = random.Random(f"{sex}:{seed}")
    look = choose_look(sex, pick)
    return HEAD + draw_backdrop(look, pick) + _draw_person(look, pick) + "</svg>"


def _draw_person(look: Look, pick: random.Random) -> str:
    behind, before = draw_hair(look, pick)
    face = draw_face(look, pick)
    # The head is drawn in its own coordinates: rotated about the chin, scaled in width, and moved onto the neck.
    place = (
        f"rotate({pick.choice((-4, -2, 0, 0, 2, 4))} 300 540)translate({300 * (1 - look.breadth):.1f} 66)"
        f"scale({look.breadth} 1)"
    )
    return (
        f'<g transform="translate(-45 -120)scale(1.15)"><g transform="{place}">{behind}</g>{draw_neck(look)}'
        f'{draw_clothes(look, pick)}<g transform="{place}">{face}{before}</g></g>'
    )
