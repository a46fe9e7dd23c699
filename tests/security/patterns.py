"""Finds what belongs to a person in text of any form."""

import re
from urllib.parse import unquote

# So many digits of a number in a row say more than its mask does.
TELLING_DIGITS = 8


def plain(text: str) -> str:
    """Without what only looks like a number or a code: ids, fractions of a second, lengths of text."""
    text = re.sub(r"\b\d{17,19}\b", "<id>", text)
    return re.sub(r"\d{2}:\d{2}:\d{2}[.,]\d+|(?<![\d.])\d+\.\d{3,}", "<time>", text)


def found_in(text: str, patterns: list[re.Pattern[str]]) -> list[str]:
    texts = {plain(text), plain(unquote(text))}
    return [pattern.pattern for pattern in patterns if any(pattern.search(each) for each in texts)]
