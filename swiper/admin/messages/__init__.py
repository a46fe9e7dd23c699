"""All text that operators read. The templates are in English; this package has names for codes, and the Chinese."""

from collections.abc import Mapping

from swiper.admin.messages.chinese import CHINESE
from swiper.admin.messages.codes import NAMES
from swiper.http.messages import translate

EN: Mapping[str, str] = {code: english for code, (english, _) in NAMES.items()}
ZH: Mapping[str, str] = {**CHINESE, **{code: chinese for code, (_, chinese) in NAMES.items()}}


def say(text: str, language: str) -> str:
    """Translate `text`, an English sentence or a code, into `language` (`zh` or `en`).

    Text that is not in this package is looked up among the messages of the API.
    """
    own = (ZH if language == "zh" else EN).get(text)
    return own if own is not None else translate(text, language)
