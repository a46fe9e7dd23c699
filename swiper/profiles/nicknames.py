"""Nicknames: the form in which they are compared, and which ones nobody may take."""

import functools
import json
import re
import unicodedata
from importlib.resources import files

from swiper.characters import BLANKS, IGNORABLE, SPACES
from swiper.errors import ProfileError
from swiper.extensions import this_app
from swiper.profiles.queries.operators import nicknames_of_operators

# Refused as a part of a name; those in Latin letters as a part of a word.
RESERVED_PARTS = (
    *(
        "swiper",
        "官方",
        "客服",
        "管理员",
        "管理員",
        "系统通知",
        "系統通知",
        "系统消息",
        "系統訊息",
        "系统管理",
        "系統管理",
    ),
    *("工作人员", "工作人員", "客户服务", "客戶服務", "安全中心", "审核员", "審核員"),
)
# Refused as the beginning or the end of a word, as one of a name's words, and as the whole name.
RESERVED_EDGES = ("admin", "administrator", "moderator")
RESERVED_WORDS = ("operator", "official", "support", "webmaster", "superuser", "postmaster")
RESERVED_NAMES = (
    *("root", "system", "mod", "staff", "help", "helpdesk", "security", "service", "customerservice", "notifications"),
    *("админ", "администратор", "модератор", "관리자", "운영자", "運営", "管理者", "团队", "團隊", "平台"),
    *("系统", "系統", "管理", "版主", "运营", "運營", "审核", "審核", "小秘书", "小秘書"),
)
# Signs that are read as letters, but only inside words: there are people called 小5.
LEET = str.maketrans("@$345!|¡", "aseasiii")
# Marks that are put on, around and through letters, not those that scripts write vowels with.
MARKS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]")
SMALL_CAPITAL = re.compile("LATIN LETTER SMALL CAPITAL ([A-Z])")
# First code point and count: letters in squares and circles without a compatibility form, and letters of flags.
PICTURED = [(0x1F150, 26), (0x1F170, 26), (0x1F1E6, 26)]

# Fillers and selectors that the form before revision 0005 left out.
FORMERLY_IGNORED = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u200c\u200d\u2800\u3164\uffa0\ufe00-\ufe0f]")


def fold_nickname(nickname: str) -> str:
    """The form that is equal for nicknames that people see as the same; empty for an invisible one.

    It is Unicode's compatibility caseless match, without ignorable characters, and with one space for each run of them.
    """
    folded = unicodedata.normalize("NFD", _visible(nickname)).casefold()
    folded = unicodedata.normalize("NFKC", folded).casefold()
    return re.sub(" +", " ", SPACES.sub(" ", unicodedata.normalize("NFKC", _visible(folded)))).strip()


def former_fold(nickname: str) -> str:
    """The form in which nicknames were compared before; rows that `folded_names.py` has not reached are keyed by it."""
    return FORMERLY_IGNORED.sub("", unicodedata.normalize("NFKC", nickname).casefold()).strip()


def _visible(text: str) -> str:
    return BLANKS.sub(" ", IGNORABLE.sub("", text))


def skeleton(text: str) -> str:
    """A form that is equal for texts that look alike, whatever scripts their letters come from (UTS 39)."""
    decomposed = unicodedata.normalize("NFKD", _visible(text))
    folded = "".join(map(_prototype, decomposed)).casefold()
    # The table maps I and 1 to l, 0 to O, and m to rn. The other case of these letters must have the same form.
    return unicodedata.normalize("NFD", folded).replace("i", "l").replace("m", "rn")


def _prototype(character: str) -> str:
    if character.isascii():
        return _confusables().get(character, character)
    for first, count in PICTURED:
        if first <= ord(character) < first + count:
            return chr(ord("A") + ord(character) - first)
    small = SMALL_CAPITAL.fullmatch(unicodedata.name(character, ""))
    return small[1] if small else _confusables().get(character, character)


@functools.cache
def _confusables() -> dict[str, str]:
    """For each character the one that it looks like.

    The package's own module needs 17 MB in each process, so only its table is read, when a nickname is first changed.
    The table has each pair in both directions: a character with several look-alikes is their prototype, and of two
    characters the one with the lower code point is.
    """
    text = files("confusable_homoglyphs").joinpath("confusables.json").read_text("utf-8")
    table: dict[str, list[str]] = {
        character: [unicodedata.normalize("NFKD", IGNORABLE.sub("", found["c"])) for found in alike]
        for character, alike in json.loads(text).items()
    }
    single = {character: alike[0] for character, alike in table.items() if len(character) == len(alike) == 1}
    return {one: other for one, other in single.items() if len(table.get(other, ())) > 1 or other < one}


def is_reserved(nickname: str) -> bool:
    """True for a name that could be taken for the service's own, in any spelling."""
    plain = MARKS.sub("", unicodedata.normalize("NFKD", _visible(nickname)))
    texts = (plain, plain.translate(LEET), plain.strip("0123456789 ._-"))
    words = {word for text in texts for word in _latin_words(text)}
    joined = {"".join(re.findall(r"[^\W_]", _unmarked(text))) for text in texts}
    parts = [_unmarked(part) for part in (*RESERVED_PARTS, *this_app().config["RESERVED_NICKNAMES"])]
    names = {_unmarked(name) for name in (*RESERVED_NAMES, *RESERVED_WORDS, *RESERVED_EDGES)}
    # Letters with something between them: s.w.i.p.e.r
    is_spaced = all(len(word) <= 2 for word in re.findall(r"[^\W_]+", plain))
    return (
        any(part in word for part in parts for word in words)
        or any(part in text for part in parts for text in joined if is_spaced or not part.isascii())
        or any(
            word.startswith(edge) or word.endswith(edge) for edge in map(_unmarked, RESERVED_EDGES) for word in words
        )
        or bool(words & {_unmarked(word + plural) for word in RESERVED_WORDS for plural in ("", "s")})
        or bool(joined & names)
    )


def _unmarked(text: str) -> str:
    """The skeleton without marks; some come from the table, such as the stroke of a d."""
    return MARKS.sub("", skeleton(text))


def _latin_words(text: str) -> set[str]:
    """Skeletons of the words in Latin letters or their look-alikes, with and without digits around them."""
    found = set()
    for word in re.findall(r"[^\W_]+", text):
        for form in (word, word.strip("0123456789")):
            plain = _unmarked(form)
            found.update(re.findall("[a-z0-9]+", plain))
            found.update(re.findall("[a-z0-9]+", plain.replace("vv", "w")))
    return found


def check_nickname(uid: int, nickname: str) -> None:
    """Raise ProfileError for a name that is reserved, or that could be taken for an operator's name."""
    if is_reserved(nickname) and nickname != first_nickname(uid):
        raise ProfileError(errors={"nickname": ["This nickname is reserved."]})
    # Operators are few, and names are changed rarely.
    if _compact(nickname) in {_compact(name) for name in nicknames_of_operators(except_uid=uid)}:
        raise ProfileError(errors={"nickname": ["This nickname is taken."]})


def _compact(nickname: str) -> str:
    """The skeleton without spaces, punctuation, symbols and marks, or all of it if nothing else is left."""
    whole = skeleton(nickname)
    return "".join(c for c in MARKS.sub("", whole) if unicodedata.category(c)[0] not in "ZPS") or whole


def first_nickname(uid: int) -> str:
    """The nickname of a new account. It equals its folded form."""
    return f"swiper-{to_base36(uid)[-9:]}"


def to_base36(number: int) -> str:
    """`number` in base 36: digits and small letters."""
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while number:
        number, rest = divmod(number, 36)
        text = digits[rest] + text
    return text or "0"
