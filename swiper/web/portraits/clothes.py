"""The clothes of a portrait, from the shoulders down."""

import random

from swiper.web.portraits.look import Look

BODY = "M84 800C84 690 142 642 236 616Q300 664 364 616C458 642 516 690 516 800z"
# `{c}` is the garment, `{t}` its trim, `{k}` the skin. Black and white at a low opacity are its folds and edges.
SLEEVES = '<path d="M168 800Q162 745 176 715M432 800Q438 745 424 715" fill="none" stroke="#000" stroke-opacity=".16" '
SLEEVES += 'stroke-width="5" stroke-linecap="round"/>'
CREW = (
    f'<path d="{BODY}" fill="{{c}}"/>'
    '<path d="M232 617Q300 690 368 617L378 621Q300 708 222 621z" fill="#000" opacity=".14"/>' + SLEEVES
)
STRIPES = (
    f'<path d="{BODY}" fill="{{c}}"/><path d="M118 706Q300 752 482 706L496 730Q300 778 104 730zM92 762Q300 808 508 762'
    'L513 788Q300 836 87 788z" fill="{t}"/><path d="M232 617Q300 690 368 617L378 621Q300 708 222 621z" fill="{t}"/>'
)
V_NECK = (
    f'<path d="{BODY}" fill="{{c}}"/><path d="M236 612L300 726 364 612z" fill="{{k}}"/>'
    '<path d="M236 612L300 726 364 612" fill="none" stroke="#000" stroke-opacity=".15" stroke-width="9" '
    'stroke-linejoin="round"/>' + SLEEVES
)
SHIRT = (
    f'<path d="{BODY}" fill="{{c}}"/><path d="M250 606L300 690 350 606z" fill="{{k}}"/>'
    '<path d="M246 596L222 636 268 706 300 680zM354 596L378 636 332 706 300 680z" fill="{c}" stroke="#000" '
    'stroke-opacity=".16" stroke-width="4" stroke-linejoin="round"/>'
    '<path d="M300 684V800" stroke="#000" stroke-opacity=".16" stroke-width="4"/>'
    '<g fill="#000" fill-opacity=".25"><circle cx="312" cy="724" r="5"/><circle cx="312" cy="774" r="5"/></g>' + SLEEVES
)
HOODIE = (
    f'<path d="{BODY}" fill="{{c}}"/>'
    '<path d="M226 590C190 610 176 650 190 684 230 716 270 726 300 726S370 716 410 684C424 650 410 610 374 590 '
    '384 650 340 688 300 688S216 650 226 590z" fill="{c}" stroke="#000" stroke-opacity=".17" stroke-width="5"/>'
    '<path d="M268 712V770M332 712V770" stroke="#fff" stroke-opacity=".85" stroke-width="7" stroke-linecap="round"/>'
)
TURTLENECK = (
    f'<path d="{BODY}" fill="{{c}}"/><path d="M242 556Q300 586 358 556L366 628Q300 664 234 628z" fill="{{c}}"/>'
    '<path d="M234 628Q300 664 366 628L362 608Q300 642 238 608z" fill="#000" opacity=".16"/>' + SLEEVES
)
BLAZER = (
    f'<path d="{BODY}" fill="#fff"/><path d="M232 617Q300 690 368 617L378 621Q300 708 222 621z" fill="#000" '
    f'opacity=".1"/>'
    '<path d="M84 800C84 690 142 642 236 616L286 800zM516 800C516 690 458 642 364 616L314 800z" fill="{c}"/>'
    '<path d="M236 612L196 668 226 684 216 700 286 800zM364 612L404 668 374 684 384 700 314 800z" fill="{c}" '
    'stroke="#000" stroke-opacity=".22" stroke-width="4" stroke-linejoin="round"/>'
)
DENIM = (
    f'<path d="{BODY}" fill="{{t}}"/><path d="M190 632L214 800H386L410 632 388 624 372 716Q300 740 228 716L212 624z" '
    'fill="{c}"/><path d="M228 716Q300 740 372 716V800H228z" fill="{c}"/><g fill="#fff" opacity=".75">'
    '<circle cx="230" cy="722" r="8"/><circle cx="370" cy="722" r="8"/></g>'
    '<path d="M228 740Q300 762 372 740" fill="none" stroke="#fff" stroke-opacity=".4" stroke-width="4" '
    'stroke-dasharray="9 7"/>'
)
DRESS = (
    f'<path d="{BODY}" fill="{{k}}"/><path d="M178 636L200 629Q214 712 300 726 386 712 400 629L422 636C462 690 470 750 '
    '470 800H130C130 750 138 690 178 636z" fill="{c}"/>'
    '<path d="M200 629Q214 712 300 726 386 712 400 629" fill="none" stroke="#fff" stroke-opacity=".35" '
    'stroke-width="6"/>'
)
SCARF = (
    f'<path d="{BODY}" fill="{{c}}"/><path d="M222 580C250 606 350 606 378 580 404 606 408 640 390 664 340 690 260 '
    f"690 210 "
    '664 192 640 196 606 222 580z" fill="{t}"/><path d="M330 668L376 660 392 800H338z" fill="{t}"/>'
    '<path d="M214 622C260 650 340 650 388 620M336 690L372 686" fill="none" stroke="#000" stroke-opacity=".13" '
    'stroke-width="6" stroke-linecap="round"/>'
)
CARDIGAN = (
    f'<path d="{BODY}" fill="#fff"/><path d="M232 617Q300 700 368 617z" fill="{{k}}"/>'
    '<path d="M84 800C84 690 142 642 226 619Q252 700 270 800zM516 800C516 690 458 642 374 619Q348 700 330 800z" '
    'fill="{c}"/><path d="M226 619Q252 700 270 800M374 619Q348 700 330 800" fill="none" stroke="{t}" '
    'stroke-width="12"/>'
)
FOR_ALL = (CREW, STRIPES, V_NECK, SHIRT, HOODIE, TURTLENECK, BLAZER, SCARF)
FOR_WOMEN = (*FOR_ALL, DRESS, DRESS, DENIM, CARDIGAN, CARDIGAN)
NECKLACE = (
    '<path d="M244 618Q300 720 356 618" fill="none" stroke="#e9b949" stroke-width="4"/>'
    '<circle cx="300" cy="672" r="9" fill="#e9b949"/>'
)
SHOWS_NECK = (V_NECK, DRESS, CARDIGAN)


def draw_clothes(look: Look, pick: random.Random) -> str:
    """One garment on the person's shoulders."""
    style = pick.choice(FOR_WOMEN if look.is_female else FOR_ALL)
    trim = look.palette.trim if look.palette.trim != look.cloth else "#ffffff"
    garment = style.replace("{c}", look.cloth).replace("{t}", trim).replace("{k}", look.skin.light)
    if style in SHOWS_NECK and look.is_female and pick.random() < 0.6:
        garment += NECKLACE
    # Scaled to 804, so that turning and rounding leave no gap at the lower edge.
    return f'<g transform="translate({300 * (1 - look.shoulders):.1f} 0)scale({look.shoulders} 1.005)">{garment}</g>'
