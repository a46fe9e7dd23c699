"""The face: its outline and all of its parts."""

import random

from swiper.web.portraits.features import BROWS, EYES, GLASSES, MOUTHS, NOSES
from swiper.web.portraits.look import Look

INK = "#2c2230"
# Half the breadth at the jaw, the same at the chin, and where the chin ends.
JAWS = ((90, 34, 476), (96, 40, 472), (84, 30, 482), (92, 46, 470))
STRONG_JAWS = ((100, 48, 480), (96, 42, 484), (104, 54, 476), (92, 40, 486))
EARRINGS = (
    '<circle cx="{x}" cy="372" r="9" fill="{t}"/>',
    '<circle cx="{x}" cy="390" r="19" fill="none" stroke="#e9b949" stroke-width="6"/>',
    '<path d="M{x} 368V396" stroke="#e9b949" stroke-width="4"/><circle cx="{x}" cy="404" r="10" fill="{t}"/>',
    '<circle cx="{x}" cy="371" r="8" fill="#fdfaf3"/>',
)
STUDS = (EARRINGS[0], EARRINGS[3])
FULL_BEARDS = (
    # Full, with a moustache.
    "M190 345C196 430 226 496 300 500 374 496 404 430 410 345 398 385 380 396 352 392 330 374 270 374 248 392 220 396 "
    "202 385 190 345zM262 412Q300 394 338 412 342 440 300 444 258 440 262 412z",
    # Short, along the jaw.
    "M189 350C194 434 230 492 300 494 370 492 406 434 411 350 402 404 378 440 340 448 320 454 280 454 260 448 222 440 "
    "198 404 189 350z",
)
SMALL_BEARDS = (
    # Goatee.
    "M262 450Q300 438 338 450 338 496 300 500 262 496 262 450z",
    # Moustache.
    "M300 384C280 374 252 382 240 402 264 404 284 402 300 394 316 402 336 404 360 402 348 382 320 374 300 384z",
)


def draw_neck(look: Look) -> str:
    """The neck and the shadow of the chin, which do not turn with the head."""
    half = 44 if look.is_female else 56
    left, right = 300 - half, 300 + half
    return (
        f'<path d="M{left} 480V596Q{left} 616 {left - 24} 624Q300 720 {right + 24} 624Q{right} 616 {right} 596V480z" '
        f'fill="{look.skin.light}"/><path d="M{left} 480H{right}V562Q300 622 {left} 562z" fill="{look.skin.shade}"/>'
    )


def draw_face(look: Look, pick: random.Random) -> str:
    """Ears, head and all parts of the face, for a head of breadth 1."""
    return (
        f"{_ears(look, pick)}{_outline(look, pick)}{_cheeks(look, pick)}{_beard(look, pick)}"
        f"{_features(look, pick)}{_glasses(look, pick)}"
    )


def _outline(look: Look, pick: random.Random) -> str:
    jaw, chin, end = pick.choice(JAWS if look.is_female else STRONG_JAWS)
    return (
        f'<path d="M188 300C188 380 {300 - jaw} 430 {300 - chin} {end - 14}Q300 {end + 12} {300 + chin} {end - 14}'
        f'C{300 + jaw} 430 412 380 412 300C412 210 370 165 300 165S188 210 188 300z" fill="{look.skin.light}"/>'
    )


def _ears(look: Look, pick: random.Random) -> str:
    skin = look.skin
    ears = (
        f'<g fill="{skin.light}"><ellipse cx="184" cy="334" rx="22" ry="32"/><ellipse cx="416" cy="334" rx="22" '
        f'ry="32"/>'
        f'</g><path d="M176 322Q190 330 182 350M424 322Q410 330 418 350" fill="none" stroke="{skin.shade}" '
        f'stroke-width="5" stroke-linecap="round"/>'
    )
    if pick.random() < (0.55 if look.is_female else 0.1):
        ring = pick.choice(EARRINGS if look.is_female else STUDS).replace("{t}", look.palette.trim)
        ears += ring.replace("{x}", "178") + ring.replace("{x}", "422")
    return ears


def _cheeks(look: Look, pick: random.Random) -> str:
    cheeks = (
        f'<g fill="{look.skin.blush}" opacity="{pick.choice((0.28, 0.38, 0.5))}"><ellipse cx="228" cy="382" rx="26" '
        'ry="17"/><ellipse cx="372" cy="382" rx="26" ry="17"/></g>'
    )
    if pick.random() < 0.16:
        dots = "".join(f'<circle cx="{x}" cy="{y}" r="3.2"/>' for x, y in _freckles())
        cheeks += f'<g fill="{look.skin.shade}">{dots}</g>'
    elif pick.random() < 0.12:
        cheeks += (
            f'<circle cx="{pick.choice((248, 352))}" cy="{pick.choice((404, 420))}" r="4" fill="{INK}" opacity=".7"/>'
        )
    return cheeks


def _freckles() -> list[tuple[int, int]]:
    left = [(222, 368), (238, 360), (232, 380), (250, 374), (214, 384), (262, 364)]
    return left + [(600 - x, y) for x, y in left]


def _beard(look: Look, pick: random.Random) -> str:
    if look.is_female or pick.random() > 0.36:
        return ""
    is_full = pick.random() < 0.6
    shape = pick.choice(FULL_BEARDS if is_full else SMALL_BEARDS)
    if is_full and pick.random() < 0.3:
        return f'<path fill-rule="evenodd" d="{shape}" fill="{INK}" opacity=".16"/>'
    return f'<path fill-rule="evenodd" d="{shape}" fill="{look.hair.shade}" opacity=".92"/>'


def _features(look: Look, pick: random.Random) -> str:
    eyes = pick.choice(EYES[look.is_female])
    drawn = pick.choice(BROWS[look.is_female]) + eyes + pick.choice(NOSES) + pick.choice(MOUTHS[look.is_female])
    colours = {"{i}": INK, "{h}": look.hair.shade, "{s}": look.skin.shade, "{l}": look.skin.lips}
    colours["{e}"] = pick.choice(("#4a2f22", "#5b3a24", "#3a2a26", "#6b4a2b", "#46607a", "#54704f"))
    for mark, colour in colours.items():
        drawn = drawn.replace(mark, colour)
    return drawn


def _glasses(look: Look, pick: random.Random) -> str:
    if pick.random() > 0.26:
        return ""
    # On dark skin only metal is seen.
    frame = "#e6bd62" if look.skin.is_dark else pick.choice((INK, INK, "#7a4b2a", "#b98b3a", "#8b3a4a"))
    return f'<g fill="#fff" fill-opacity=".16" stroke="{frame}" stroke-width="6">{pick.choice(GLASSES)}</g>'
