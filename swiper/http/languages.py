"""Choose the language of a response, `zh` or `en`, from the header Accept-Language."""

import re

# Browsers send about 60 characters. What follows these limits is ignored.
MAX_CHARACTERS = 200
MAX_ENTRIES = 10
DEFAULT = "en"
LANGUAGES = ("en", "zh")
# Other codes for Chinese that some systems send: the languages that `zh` covers (ISO 639-3), Mandarin first.
CHINESE = frozenset({"cmn", "yue", "wuu", "nan", "hak", "gan", "hsn", "cdo", "cjy", "cpx", "czh", "czo", "mnp", "lzh"})
# RFC 9110, 12.4.2: a weight has up to three digits.
WEIGHT = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.ASCII | re.IGNORECASE)


def choose_language(header: str) -> str:
    """Return `zh` or `en`, whichever has the higher weight in an Accept-Language `header`; the first if both are equal.

    Only the first subtag counts, so `zh-Hans-CN`, `zh-SG` and `zh-Hant-TW` are Chinese. Weight 0 excludes a language,
    and `*` means every language that is not named. The result is English if nothing matches.
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
    # The order of the client's header, then the languages that only `*` matches, English first.
    order = [*named, *(name for name in LANGUAGES if name not in named)]
    best = max(order, key=wanted.__getitem__)
    return best if wanted[best] > 0 else _least_unwanted(weights)


def _least_unwanted(weights: dict[str, float]) -> str:
    """Return a language that the header does not exclude by name; English if it excludes both."""
    return next((name for name in LANGUAGES if name not in weights), DEFAULT)


def _weight(parameters: str) -> float | None:
    """Return the weight of an entry: 1 if it has none, None if it is malformed."""
    if not parameters:
        return 1.0
    found = WEIGHT.fullmatch(parameters.replace(" ", ""))
    return float(found[1]) if found else None
