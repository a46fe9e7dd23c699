"""The language of an answer: `zh` or `en`, chosen by the header Accept-Language."""

import re

# Browsers send some sixty characters; what stands behind these limits is not read.
MAX_CHARACTERS = 200
MAX_ENTRIES = 10
DEFAULT = "en"
LANGUAGES = ("en", "zh")
# Chinese, as some systems name it: the languages that `zh` stands for (ISO 639-3), Mandarin first.
CHINESE = frozenset({"cmn", "yue", "wuu", "nan", "hak", "gan", "hsn", "cdo", "cjy", "cpx", "czh", "czo", "mnp", "lzh"})
# RFC 9110, 12.4.2: a weight has up to three digits.
WEIGHT = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.ASCII | re.IGNORECASE)


def choose_language(header: str) -> str:
    """The language of ours with the highest weight in an Accept-Language `header`; of equal ones the first.

    A tag counts by its first subtag, so `zh-Hans-CN`, `zh-SG` and `zh-Hant-TW` are Chinese. A language with weight 0 is
    not wanted, and `*` stands for the languages that are not named. English where nothing fits.
    """
    weights: dict[str, float] = {}
    for entry in header[:MAX_CHARACTERS].split(",")[:MAX_ENTRIES]:
        tag, _, parameters = entry.partition(";")
        weight = _weight(parameters.strip())
        name = re.split("[-_]", tag.strip().lower())[0]
        name = "zh" if name in CHINESE else name
        if weight is not None and name:
            weights[name] = max(weight, weights.get(name, 0.0))
    others = weights.get("*", 0.0)
    wanted = {name: weights.get(name, others) for name in LANGUAGES}
    named = [name for name in weights if name in LANGUAGES]
    # In the order in which the client names them; those that only `*` admits come last, English first.
    order = [*named, *(name for name in LANGUAGES if name not in named)]
    best = max(order, key=wanted.__getitem__)
    return best if wanted[best] > 0 else _least_unwanted(weights)


def _least_unwanted(weights: dict[str, float]) -> str:
    """The default, or the other language where the default is refused by name."""
    return next((name for name in LANGUAGES if name not in weights), DEFAULT)


def _weight(parameters: str) -> float | None:
    """The weight of an entry, 1 where it has none; None where what stands there is no weight."""
    if not parameters:
        return 1.0
    found = WEIGHT.fullmatch(parameters.replace(" ", ""))
    return float(found[1]) if found else None
