"""The background of a portrait: a gradient and a few faint shapes."""

import random

from swiper.web.portraits.look import Look

# `{s}` is the colour of the shape. All shapes are faint, so that they do not distract from the face.
SHAPES = (
    '<circle cx="300" cy="330" r="250" fill="{s}" opacity=".35"/>',
    '<circle cx="300" cy="340" r="270" fill="#fff" opacity=".28"/><circle cx="300" cy="340" r="205" fill="{s}"'
    ' opacity=".3"/>',
    '<path d="M0 520C120 430 220 560 340 480S520 380 600 440V800H0z" fill="{s}" opacity=".4"/>'
    '<path d="M0 620C150 540 260 660 400 580S540 540 600 560V800H0z" fill="{s}" opacity=".5"/>'
    '<circle cx="470" cy="150" r="70" fill="#fff" opacity=".45"/>',
    '<path d="M60 800V330C60 197 167 90 300 90S540 197 540 330V800z" fill="{s}" opacity=".35"/>',
    '<circle cx="80" cy="120" r="150" fill="{s}" opacity=".38"/><circle cx="560" cy="430" r="190" fill="{s}"'
    ' opacity=".3"/><circle cx="520" cy="90" r="46" fill="#fff" opacity=".4"/>',
    '<path d="M-20 260C90 170 120 60 90-20H-20zM620 600C500 560 470 420 520 300S600 150 620 140z" fill="{s}"'
    ' opacity=".45"/><circle cx="90" cy="560" r="60" fill="{s}" opacity=".25"/>',
    '<g fill="{s}" opacity=".42"><path d="M40 640C10 520 40 420 110 350 130 470 110 560 40 640z"/>'
    '<path d="M30 660C90 600 150 590 210 610 150 670 90 690 30 660z"/>'
    '<path d="M560 520C590 400 560 300 490 230 470 350 490 440 560 520z"/>'
    '<path d="M570 540C510 480 450 470 390 490 450 550 510 570 570 540z"/></g>',
    '<g fill="#fff" opacity=".32"><ellipse cx="120" cy="170" rx="90" ry="30"/><ellipse cx="170" cy="145" rx="60" '
    'ry="34"/>'
    '<ellipse cx="490" cy="270" rx="100" ry="30"/><ellipse cx="450" cy="245" rx="58" ry="32"/></g>'
    '<circle cx="480" cy="120" r="58" fill="{s}" opacity=".6"/>',
    '<g fill="none" stroke="{s}" stroke-width="26" opacity=".33"><circle cx="300" cy="330" r="200"/>'
    '<circle cx="300" cy="330" r="265"/><circle cx="300" cy="330" r="330"/></g>',
    '<g fill="{s}" opacity=".5"><circle cx="70" cy="90" r="12"/><circle cx="160" cy="190" r="8"/>'
    '<circle cx="110" cy="330" r="14"/><circle cx="60" cy="480" r="9"/><circle cx="500" cy="80" r="9"/>'
    '<circle cx="540" cy="210" r="14"/><circle cx="480" cy="330" r="8"/><circle cx="550" cy="470" r="12"/>'
    '<circle cx="400" cy="60" r="7"/><circle cx="230" cy="70" r="10"/></g>',
)


def draw_backdrop(look: Look, pick: random.Random) -> str:
    """The gradient over the whole picture and one group of shapes, mirrored for half of the people."""
    top, bottom = look.palette.back
    shapes = pick.choice(SHAPES).replace("{s}", look.palette.shape)
    turn = ' transform="matrix(-1 0 0 1 600 0)"' if pick.random() < 0.5 else ""
    return (
        f'<defs><linearGradient id="b" x2="0" y2="1"><stop stop-color="{top}"/><stop offset="1" stop-color="{bottom}"/>'
        f'</linearGradient></defs><rect width="600" height="800" fill="url(#b)"/><g{turn}>{shapes}</g>'
    )
