"""Women's hair styles."""

from swiper.web.portraits.strands import BEANIE, TOP_KNOT, UNDER_BEANIE, Style, circles, mirrored, sheen, strand

# The upper edge that all closed styles share: from one temple over the head to the other.
CAP = "C160 214 222 130 300 130S440 214 416 344"

CURTAIN = strand(
    "M300 126C206 126 156 204 164 316 168 430 148 540 140 660 190 690 240 676 252 640L348 640C360 676 410 690 "
    "460 660 452 540 432 430 436 316 444 204 394 126 300 126z",
    "{d}",
)
WAVES = strand(
    "M300 122C196 122 146 206 158 318 164 372 124 410 138 470 150 516 108 560 132 620 156 674 226 680 250 640"
    "L350 640C374 680 444 674 468 620 492 560 450 516 462 470 476 410 436 372 442 318 454 206 404 122 300 122z",
    "{d}",
)
SHORT_BOB = strand(
    "M300 126C204 126 158 206 166 318 168 390 150 440 164 486 196 520 238 508 252 470H348C362 508 404 520 436 "
    "486 450 440 432 390 434 318 442 206 396 126 300 126z",
    "{d}",
)
CENTRE_PART = (
    strand("M184 344" + CAP + "C408 262 366 196 302 168 236 196 194 262 184 344z")
    + strand(
        "M184 340C176 400 178 440 168 480 152 430 150 380 164 330zM416 340C424 400 422 440 432 480 448 430 450 380 436 "
        "330z"
    )
    + sheen("M212 236Q236 186 276 166")
    + sheen("M388 236Q364 186 330 166", 7)
)
SIDE_PART = strand(
    "M182 352" + CAP + "C414 292 402 236 366 176 330 240 232 250 206 286 190 310 188 332 182 352z"
) + sheen("M226 232Q290 216 330 172")
FRINGE = (
    strand("M184 344" + CAP + "L404 344Q406 300 398 268 300 296 202 268 194 300 196 344z")
    + sheen("M216 228Q300 196 384 228", 10)
    + '<path d="M246 278V244M300 284V240M354 278V244" stroke="{d}" stroke-width="4" '
    'stroke-linecap="round" opacity=".6"/>'
)
AIRY_FRINGE = strand(
    "M184 344" + CAP + "C410 310 404 280 388 250 380 268 372 280 362 288 362 270 358 256 350 246 338 268 324 282 306 "
    "290 304 270 298 256 290 248 280 272 262 286 244 290 246 272 242 258 236 248 206 276 196 306 184 344z"
) + sheen("M222 216Q300 176 378 216", 9)
SLICKED = (
    strand("M186 340" + CAP + "C406 248 366 202 300 202S194 248 186 340z")
    + '<path d="M212 226Q252 170 290 150M388 226Q348 170 310 150M300 200V146" fill="none" stroke="{d}" '
    'stroke-width="4" '
    'opacity=".55" stroke-linecap="round"/>' + sheen("M232 190Q256 164 280 154", 7)
)
LOW_BUN = strand(
    "M300 126C200 126 160 206 170 318 170 370 196 410 220 424H380C404 410 430 370 430 318 440 206 400 126 300 126z",
    "{d}",
) + circles(((422, 438, 52),), "{h}")
TAIL = strand(
    "M372 150C470 140 508 250 490 360 476 450 506 520 470 600 440 570 420 540 424 480 430 400 424 300 360 220z", "{d}"
)
TAIL += '<circle cx="404" cy="176" r="20" fill="{t}"/>'
TWO_TAILS = mirrored(
    strand(
        "M196 210C120 190 90 270 104 360 116 440 84 500 112 580 148 560 176 520 172 460 166 380 188 300 214 260z", "{d}"
    )
    + '<circle cx="184" cy="232" r="18" fill="{t}"/>'
)
BRAIDS = mirrored(
    "".join(
        f'<ellipse cx="{x}" cy="{y}" rx="27" ry="30" fill="{colour}"/>'
        for x, y, colour in (
            (176, 440, "{h}"),
            (172, 486, "{d}"),
            (168, 532, "{h}"),
            (166, 578, "{d}"),
            (166, 622, "{h}"),
        )
    )
    + '<circle cx="166" cy="654" r="13" fill="{t}"/><ellipse cx="166" cy="680" rx="17" ry="24" fill="{h}"/>'
)
CLOUD = circles(
    (
        (300, 156, 92),
        (212, 186, 78),
        (388, 186, 78),
        (160, 268, 74),
        (440, 268, 74),
        (150, 360, 70),
        (450, 360, 70),
        (174, 446, 64),
        (426, 446, 64),
        (214, 500, 50),
        (386, 500, 50),
    ),
    "{d}",
)
CLOUD_FRONT = circles(
    ((300, 170, 54), (240, 184, 50), (360, 184, 50), (196, 226, 42), (404, 226, 42), (180, 284, 30), (420, 284, 30))
) + circles(((276, 156, 12), (230, 172, 9), (338, 162, 10)), "{w}").replace("<g ", '<g opacity=".4" ')
PIXIE = (
    strand(
        "M180 356"
        + CAP
        + "L420 356C414 320 408 290 392 262 356 268 300 262 262 222 250 262 214 276 200 300 192 322 188 340 "
        "180 356z"
    )
    + sheen("M240 196Q290 160 344 168")
    + sheen("M330 226Q360 240 386 240", 6)
)
PUFFS = circles(((176, 150, 66), (424, 150, 66)), "{h}") + circles(((160, 132, 14), (408, 132, 14)), "{w}").replace(
    "<g ", '<g opacity=".35" '
)
HEADBAND = strand(
    "M178 262C196 186 248 152 300 152S404 186 422 262L408 250C388 196 344 176 300 176S212 196 192 250z", "{t}"
)
FLOWER = (
    '<g fill="{t}"><circle cx="404" cy="214" r="15"/><circle cx="430" cy="226" r="15"/><circle cx="424" cy="254" '
    'r="15"/>'
    '<circle cx="396" cy="256" r="15"/><circle cx="386" cy="232" r="15"/></g><circle cx="408" cy="236" r="11" '
    'fill="#fff"/>'
)
CLIP = '<path d="M372 206L412 250" stroke="{t}" stroke-width="13" stroke-linecap="round"/>'

WOMEN = (
    *(Style(CURTAIN, front) for front in (CENTRE_PART, SIDE_PART, FRINGE, AIRY_FRINGE)),
    *(Style(WAVES, front) for front in (CENTRE_PART, SIDE_PART, AIRY_FRINGE)),
    *(Style(SHORT_BOB, front) for front in (CENTRE_PART, SIDE_PART + CLIP, FRINGE, AIRY_FRINGE)),
    Style(CURTAIN, CENTRE_PART + FLOWER),
    Style(WAVES, SLICKED + HEADBAND),
    Style(TOP_KNOT, SLICKED),
    Style(TOP_KNOT, AIRY_FRINGE),
    Style(LOW_BUN, SIDE_PART),
    Style(TAIL, SLICKED),
    Style(TAIL, AIRY_FRINGE),
    Style(TWO_TAILS, AIRY_FRINGE),
    Style(SHORT_BOB, CENTRE_PART + BRAIDS),
    Style(CLOUD, CLOUD_FRONT),
    Style(CLOUD, CLOUD_FRONT + HEADBAND),
    Style(PUFFS, SLICKED),
    Style("", PIXIE),
    Style(WAVES, UNDER_BEANIE + BEANIE),
)
