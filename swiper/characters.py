"""What Unicode says of the characters that people paste: which ones nobody sees, and which differ only in spelling."""

import re
import unicodedata

# Default_Ignorable_Code_Point of DerivedCoreProperties.txt (Unicode 16), which `unicodedata` does not offer.
IGNORABLE_CLASS = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
IGNORABLE = re.compile(f"[{IGNORABLE_CLASS}]")
SPACES = re.compile(r"[\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
# A minus sign, and the mark that a Japanese keyboard has on the key of the dash; both stand in numbers as dashes.
OTHER_DASHES = "\u2212\u30fc"


def simplify(text: str) -> str:
    """`text` in NFKC, without ignorable characters; digits of all scripts are 0 to 9, dashes `-`, spaces ` `."""
    visible = IGNORABLE.sub("", unicodedata.normalize("NFKC", IGNORABLE.sub("", text)))
    return "".join(map(_simple, SPACES.sub(" ", visible)))


def _simple(character: str) -> str:
    if character.isascii():
        return character
    if unicodedata.category(character) == "Pd" or character in OTHER_DASHES:
        return "-"
    return str(unicodedata.decimal(character, character))
