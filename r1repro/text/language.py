"""Language of a text, measured in words.

A word is one Han character or one run of letters in any other script. LaTeX, digits, markup tags
and single Latin letters (mostly variable names) are removed first. Counting Han characters against
words is coarse, since a Chinese word has one to two characters, but it needs no model and matches
DeepSeek-R1's language-consistency reward: the share of words in the target language (arXiv
2501.12948 v2, equation 7).
"""

import math
import re

HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_LATIN = "A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"

# Every repetition is bounded, so an adversarial line of 100 kB takes linear time.
_NOT_WORDS = re.compile(
    r"\$\$[^$]{1,300}\$\$"
    r"|\$(?![\s\d])[^$\n]{1,300}(?<!\s)\$(?!\d)"
    r"|\$(?=\d)[^$\n\s]{1,300}\$(?!\d)"  # "$5 and $6" is prose, "$5+6$" is not
    r"|\\\([^\n]{1,300}?\\\)|\\\[.{1,300}?\\\]"
    r"|\\[A-Za-z]{1,40}"
    r"|</?[A-Za-z_|][^<>\n]{0,80}>"
    r"|\d+",
    re.DOTALL,
)
_WORD = re.compile(rf"[{HAN}]|[{_LATIN}]+(?:['’-][{_LATIN}]+)*|[^\W\d_{_LATIN}{HAN}]+")
_IS_HAN = re.compile(rf"[{HAN}]")
_IS_LATIN = re.compile(rf"[{_LATIN}]")
_LANGUAGES = {"en": _IS_LATIN, "zh": _IS_HAN}


def words(text: str) -> list[str]:
    """The words of a text in order: each Han character, and each run of other letters."""
    candidates = _WORD.findall(_NOT_WORDS.sub(" ", text))
    return [word for word in candidates if len(word) > 1 or not _IS_LATIN.match(word)]


def language_share(text: str, language: str) -> float:
    """Share of words in `language` ("en": Latin script, "zh": Han), in 0 to 1.

    NaN if the text has no words. Words in a third script count in the denominator only. Raises
    ValueError for any other language. Source: DeepSeek-R1 v2, equation 7.
    """
    if language not in _LANGUAGES:
        raise ValueError(f"language is {language!r}; pass 'en' or 'zh'")
    found = words(text)
    if not found:
        return math.nan
    return sum(bool(_LANGUAGES[language].match(word)) for word in found) / len(found)


def language_of(text: str) -> str:
    """The language with more words, "zh" or "en"; ties give "en"."""
    chinese, english = (language_share(text, language) for language in ("zh", "en"))
    return "zh" if chinese > english else "en"


def is_mixed(text: str) -> bool:
    """Whether the text has at least one English and one Chinese word."""
    found = words(text)
    return any(map(_IS_LATIN.match, found)) and any(map(_IS_HAN.match, found))
