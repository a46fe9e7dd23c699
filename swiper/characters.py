"""Cleans text by the rules of Unicode: removes invisible characters, and makes different spellings equal."""

import re
import unicodedata

# Default_Ignorable_Code_Point of DerivedCoreProperties.txt (Unicode 16), which `unicodedata` does not offer.
IGNORABLE_CLASS = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
IGNORABLE = re.compile(f"[{IGNORABLE_CLASS}]")
SPACES = re.compile(r"[\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
# A minus sign, and the character of the dash key on a Japanese keyboard. People write both as dashes in numbers.
OTHER_DASHES = "\u2212\u30fc"


def simplify(text: str) -> str:
    """Return `text` in NFKC without ignorable characters. All digits become 0 to 9, dashes `-`, spaces ` `."""
    visible = IGNORABLE.sub("", unicodedata.normalize("NFKC", IGNORABLE.sub("", text)))
    return "".join(map(_simple, SPACES.sub(" ", visible)))


def _simple(character: str) -> str:
    if character.isascii():
        return character
    if unicodedata.category(character) == "Pd" or character in OTHER_DASHES:
        return "-"
    return str(unicodedata.decimal(character, character))


# Scripts in which joiners change how a word looks: Arabic, Syriac, NKo, Mongolian, Adlam, those of India and of its
# neighbours as far as Java, and their relatives beyond the first plane.
JOINING_CLASS = (
    "\u0600-\u08ff\u0900-\u109f\u1780-\u17ff\u1800-\u18af\u1a20-\u1c4f\u1cd0-\u1cff\ua800-\ua8ff\ua930-\uabff"
    "\ufb50-\ufdff\ufe70-\ufefe\U00010a00-\U00010a5f\U00010ac0-\U00010aff\U00010b80-\U00010baf\U00010d00-\U00010d3f"
    "\U00010f30-\U00010fdf\U00011000-\U00011fff\U0001e900-\U0001e95f"
)
JOINING = re.compile(f"[{JOINING_CLASS}]")
MONGOLIAN = re.compile("[\u1820-\u18aa\u180b-\u180d\u180f]")
JOINERS, PRESENTATIONS, DIRECTIONS = "\u200c\u200d", "\ufe0e\ufe0f", "\u200e\u200f\u061c"
# England, Scotland, Wales: a black flag and the region in tags. The length is limited, so that no text can hide there.
TAGGED_FLAG = re.compile(
    r"\U0001f3f4[\U000e0061-\U000e007a]{2}[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,3}\U000e007f"
)
# Arrows that are joined to emoji, such as the nodding head.
ARROWS = "\u2194\u2195"
# Signs that have a coloured form, although their category is not that of symbols.
COLOURED = "\u203c\u2049\u3030\u2139"
KEYCAP = "\u20e3"
# Visible format characters, which are written before their digits.
VISIBLE_FORMATS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
# Characters that look empty in spite of their category: in braille, music, hieroglyphs, Khitan.
BLANKS = re.compile("[\u2800\U0001d159\U00013441\U00013442\U00016fe4]")
# Marks after one letter. UTS 39 advises four; Hebrew with vowels and accents has five. More would cover other lines.
MAX_MARKS = 5


def clean_text(text: str, *, is_multiline: bool = False) -> str:
    """Return `text` in normal form C, without invisible characters that neither its script nor its emoji need.

    All spaces become plain ones. Several of them become one, unless `is_multiline`, which keeps them and line breaks.
    """
    text = unicodedata.normalize("NFC", BLANKS.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n")))
    if is_multiline:
        text = "\n".join(SPACES.sub(" ", line) for line in text.split("\n"))
    else:
        text = re.sub(" +", " ", SPACES.sub(" ", text))
    if not text.isascii():
        text = _without_invisible(text)
    kept = "".join(c for c in text if c == "\n" or unicodedata.category(c) != "Cc")
    # Invisible characters between a letter and its mark are removed now, so the two can be composed.
    kept = unicodedata.normalize("NFC", kept)
    if not kept.isascii():
        kept = _without_piled_marks(kept)
    return (kept if is_multiline else re.sub(" +", " ", kept)).strip(" \n")


def _without_piled_marks(text: str) -> str:
    kept: list[str] = []
    count = 0
    for character in text:
        if unicodedata.combining(character) or unicodedata.category(character) == "Me":
            count += 1
        elif character not in JOINERS:
            count = 0
        if count <= MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def is_showable(character: str) -> bool:
    """Return False for lone surrogates, private use, and code points that will never be characters."""
    code = ord(character)
    is_never = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return not is_never and unicodedata.category(character) not in ("Cs", "Co")


def _without_invisible(text: str) -> str:
    flags = {index for found in TAGGED_FLAG.finditer(text) for index in range(*found.span())}
    is_rtl = any(unicodedata.bidirectional(c) in ("R", "AL") for c in text if c not in DIRECTIONS)
    kept: list[str] = []
    for index, character in enumerate(text):
        is_hidden = IGNORABLE.match(character) or unicodedata.category(character) == "Cf"
        if (
            not is_hidden
            or index in flags
            or character in VISIBLE_FORMATS
            or (is_rtl and character in DIRECTIONS)
            or _is_needed(character, kept[-1] if kept else " ", text[index + 1 : index + 2])
        ):
            kept.append(character)
    return "".join(kept)


def _is_needed(character: str, before: str, after: str) -> bool:
    """Return True for a joiner or selector that changes how its neighbours look. `after` may be empty."""
    if character in PRESENTATIONS:
        is_keycap = before in "0123456789#*" and after == KEYCAP
        return is_keycap or before in COLOURED or unicodedata.category(before) in ("So", "Sm")
    if character in JOINERS and JOINING.match(before):
        # At the end of a word: Persian abbreviations, and consonants without their vowel.
        return character == "\u200d" or unicodedata.combining(before) == 9 or JOINING.match(after) is not None
    if character == "\u200d":
        return bool(after) and _is_emoji(before) and _is_emoji(after)
    return "\u180b" <= character <= "\u180f" and MONGOLIAN.match(before) is not None


def _is_emoji(character: str) -> bool:
    return character in PRESENTATIONS or character in ARROWS or unicodedata.category(character) in ("So", "Sk")
