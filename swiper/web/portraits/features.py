"""The parts of a face, drawn once and coloured for each person.

`{i}` is ink, `{h}` the brows' colour, `{s}` skin in shade, `{l}` lips, `{e}` the iris. Whatever comes in pairs is drawn
on the left side and mirrored.
"""

from swiper.web.portraits.strands import mirrored


def _stroke(path: str, colour: str, width: float) -> str:
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linecap="round"/>'


ROUND_EYE = (
    '<ellipse cx="250" cy="330" rx="23" ry="19" fill="#fff"/><circle cx="251" cy="331" r="14.5" fill="{e}"/>'
    '<circle cx="251" cy="331" r="8" fill="{i}"/>'
)
# The lights stand on the same side of both eyes.
LIGHTS = '<g fill="#fff"><circle cx="256" cy="325" r="4.5"/><circle cx="354" cy="325" r="4.5"/></g>'
UPPER_LID = _stroke("M225 328Q236 308 254 309T276 326", "{i}", 6)
LASHES = _stroke("M226 327L216 319M231 319L222 309", "{i}", 4.5)
DOT_EYE = '<ellipse cx="250" cy="331" rx="11" ry="14" fill="{i}"/>'
ALMOND_EYE = (
    '<path d="M222 334Q250 302 278 332 250 352 222 334z" fill="#fff"/><circle cx="251" cy="330" r="13" fill="{e}"/>'
    '<circle cx="251" cy="330" r="7.5" fill="{i}"/>'
)
ALMOND_LID = _stroke("M220 334Q250 300 279 332", "{i}", 6)

SOFT = mirrored(ROUND_EYE + UPPER_LID) + LIGHTS
LONG_LASHES = mirrored(ROUND_EYE + UPPER_LID + LASHES) + LIGHTS
ALMOND = mirrored(ALMOND_EYE + ALMOND_LID) + LIGHTS
ALMOND_LASHES = mirrored(ALMOND_EYE + ALMOND_LID + _stroke("M221 333L211 326", "{i}", 5)) + LIGHTS
DOTS = mirrored(DOT_EYE) + LIGHTS.replace("4.5", "4")
DOTS_LASHES = mirrored(DOT_EYE + _stroke("M238 322L229 315M242 317L236 308", "{i}", 4)) + LIGHTS.replace("4.5", "4")
LAUGHING = mirrored(_stroke("M227 337Q250 309 273 337", "{i}", 7))
CALM = mirrored(DOT_EYE + _stroke("M230 322Q250 309 270 321", "{i}", 5.5)) + LIGHTS.replace("4.5", "4")
WINK = (
    ROUND_EYE
    + UPPER_LID
    + '<circle cx="256" cy="325" r="4.5" fill="#fff"/>'
    + _stroke("M326 336Q350 314 374 336", "{i}", 7)
)

# By whether they are a woman's.
EYES = {
    True: (SOFT, LONG_LASHES, LONG_LASHES, ALMOND, ALMOND_LASHES, ALMOND_LASHES, DOTS_LASHES, LAUGHING, WINK),
    False: (ALMOND, ALMOND, DOTS, DOTS, CALM, CALM, LAUGHING),
}

BROWS = {
    True: tuple(
        mirrored(_stroke(path, "{h}", width))
        for path, width in (
            ("M222 292Q246 276 276 288", 6.5),
            ("M222 286Q250 276 276 286", 7.5),
            ("M224 290Q240 278 276 280", 5.5),
        )
    ),
    False: tuple(
        mirrored(_stroke(path, "{h}", width))
        for path, width in (
            ("M220 292Q246 278 278 290", 10),
            ("M220 288L276 284", 10),
            ("M222 284Q246 276 278 292", 11),
            ("M220 290Q250 272 276 282", 8.5),
        )
    ),
}

NOSES = (
    _stroke("M298 338Q284 376 302 380", "{s}", 6),
    _stroke("M286 378Q300 390 314 378", "{s}", 6),
    _stroke("M302 340Q318 374 296 380", "{s}", 6),
    '<path d="M300 342Q288 372 284 378 300 390 316 378 312 372 300 342z" fill="{s}" opacity=".75"/>',
    _stroke("M290 374Q300 386 310 374", "{s}", 7),
)

OPEN_SMILE = (
    '<path d="M252 410Q300 424 348 410 342 456 300 456T252 410z" fill="#7d2733"/>'
    '<path d="M258 413Q300 425 342 413L338 426Q300 436 262 426z" fill="#fff"/>'
    '<path d="M276 450Q300 432 324 450 312 456 300 456T276 450z" fill="#e8717a"/>'
)
TOOTHY = (
    '<path d="M256 410Q300 418 344 410 336 444 300 446T256 410z" fill="#fff" stroke="{l}" stroke-width="5" '
    'stroke-linejoin="round"/>'
)
FULL_LIPS = (
    '<path d="M256 411Q284 406 300 413 316 406 344 411 326 446 300 446T256 411z" fill="{l}"/>'
    '<path d="M256 411Q300 436 344 411" fill="none" stroke="#000" stroke-opacity=".28" stroke-width="4"/>'
)
SMILE = _stroke("M260 412Q300 446 340 412", "{l}", 7)
SMALL_SMILE = _stroke("M274 418Q300 436 326 418", "{l}", 7)
ONE_SIDED = _stroke("M268 424Q308 434 336 410", "{l}", 7)
BROAD = _stroke("M250 408Q300 456 350 408", "{l}", 7) + _stroke("M244 406L254 404M346 404L356 406", "{l}", 5)

MOUTHS = {
    True: (OPEN_SMILE, TOOTHY, FULL_LIPS, FULL_LIPS, SMILE, SMALL_SMILE, BROAD),
    False: (OPEN_SMILE, TOOTHY, SMILE, SMILE, SMALL_SMILE, ONE_SIDED, BROAD),
}

GLASSES = (
    '<circle cx="248" cy="332" r="42"/><circle cx="352" cy="332" r="42"/><path d="M290 328Q300 320 310 328M206 '
    "326L190 320"
    'M394 326L410 320" fill="none"/>',
    '<rect x="204" y="302" width="86" height="60" rx="16"/><rect x="310" y="302" width="86" height="60" rx="16"/>'
    '<path d="M290 326Q300 318 310 326M204 320L190 316M396 320L410 316" fill="none"/>',
    '<path d="M202 306Q248 294 292 308 294 366 246 366 204 362 202 306zM398 306Q352 294 308 308 306 366 354 366 396 '
    "362 "
    '398 306z"/><path d="M292 318Q300 312 308 318M202 312L188 308M398 312L412 308" fill="none"/>',
)
