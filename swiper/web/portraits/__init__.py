"""Robots' portraits: drawn from a seed when they are asked for, so a million robots need no million files.

Everything is drawn by this package: the pictures show nobody real and carry no licence but this project's. A portrait
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
    # A text as the seed is hashed: neighbouring numbers would otherwise begin with similar choices.
    pick = random.Random(f"{sex}:{seed}")
    look = choose_look(sex, pick)
    return HEAD + draw_backdrop(look, pick) + _draw_person(look, pick) + "</svg>"


def _draw_person(look: Look, pick: random.Random) -> str:
    behind, before = draw_hair(look, pick)
    face = draw_face(look, pick)
    # The head has coordinates of its own: turned about the chin, as broad as the person's, and set upon the neck.
    place = (
        f"rotate({pick.choice((-4, -2, 0, 0, 2, 4))} 300 540)translate({300 * (1 - look.breadth):.1f} 66)"
        f"scale({look.breadth} 1)"
    )
    return (
        f'<g transform="translate(-45 -120)scale(1.15)"><g transform="{place}">{behind}</g>{draw_neck(look)}'
        f'{draw_clothes(look, pick)}<g transform="{place}">{face}{before}</g></g>'
    )
