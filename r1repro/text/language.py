"""Language of a text, measured in words.

A word is one Han character or one run of letters in any other script. Markup tags, LaTeX, pictures,
code and digits are removed first, and so are the names of points, functions, units and variables
(names.py). Counting Han characters against words is coarse, since a Chinese word has one or two of
them, but it needs no model and matches DeepSeek-R1's language-consistency reward: the share of
words in the target language (arXiv 2501.12948 v2, equation 7).
"""

import math
import re
import unicodedata
from collections.abc import Callable

from r1repro.text.names import COMMON, IN_CODE, SHORT, is_formal, is_greek_name, is_name

HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_LATIN = "A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"

# Every repetition is bounded, so an adversarial line of 100 kB takes linear time.
_FORMULA = re.compile(
    r"\$\$[^$]{1,2000}\$\$"
    r"|\$(?![\s\d])[^$\n]{1,500}(?<!\s)\$(?!\d)"
    r"|\$(?=\d)[^$\n\s]{1,300}\$(?!\d)"  # "$5 and $6" is prose, "$5+6$" is not
    r"|\\\([^\n]{1,300}?\\\)",
)
_NOT_WORDS = re.compile(
    r"\\(?:begin|end)\s{0,4}\{[^{}\n]{0,40}\}(?:\{[^{}\n]{0,40}\})?"
    # A label or unit, such as \text{cm}; with a space between words it is prose.
    r"|\\(?:text|math|operatorname)[a-z]{0,8}\s{0,4}\{\s{0,4}[A-Za-z]{1,40}\s{0,4}\}"
    r"|\\[A-Za-z]{1,40}"
    r"|</?[A-Za-z_|][^<>\n]{0,80}>"
    r"|\d+",
)
_BLOCKS = (("[asy]", "[/asy]", 20_000), ("```", "```", 20_000), ("\\[", "\\]", 2_000))
"""Delimiters of pictures, code and display mathematics, and the most characters between them."""
_WORD = re.compile(rf"[{HAN}]|[{_LATIN}]+(?:['’-][{_LATIN}]+)*|[^\W\d_{_LATIN}{HAN}]+")
_ALONE = re.compile(rf"[{HAN}]|(?<!\S)[{_LATIN}]{{2,20}}(?!\S)")
"""What a formula or picture says: Han characters, and words that stand alone."""
_TEXT_IN_FORMULA = re.compile(
    r"\\(?:text|math|operatorname|mbox|hbox|begin|end|tag|label|color)[a-z]{0,8}\*?"
    r"\s{0,4}\{([^{}]{0,200})\}"
)
_IS_HAN = re.compile(rf"[{HAN}]")
_IS_LATIN = re.compile(rf"[{_LATIN}]")
_LANGUAGES = {"en": _IS_LATIN, "zh": _IS_HAN}
_SIGNS = {*range(0x2B0, 0x300), *range(0x2135, 0x2139)}
"""Letters that are modifiers or signs of set theory, such as aleph."""
_SMALL = ("<super>", "<sub>", "<circle>", "<fraction>", "<square>")


class _Plain(dict[int, str]):
    """Each character's plain form: styled letters are letters, raised digits and ½ are none."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        form, plain = unicodedata.decomposition(character), character
        number = unicodedata.category(character) in ("No", "Nl") and character != "\u3007"
        if form.startswith(("<font>", "<wide>")) or character in "\u00b5\u2126":
            plain = unicodedata.normalize("NFKC", character)
        elif number or code in _SIGNS or form.startswith(_SMALL):
            plain = " "
        self[code] = plain
        return plain


_PLAIN = _Plain()


def words(text: str) -> list[str]:
    """The words of a text in order: each Han character, and each run of other letters.

    Without Han characters in the text, every Latin run of two letters or more is a word, names
    too, unless all of them are formal (`names.is_formal`).
    """
    if not text.isascii():
        text = text.translate(_PLAIN)
    for opening, closing, most in _BLOCKS:
        text = _without(text, opening, closing, most)
    text = _FORMULA.sub(lambda found: _said_in(found[0]), text)
    text = _NOT_WORDS.sub(lambda found: "0" if found[0].isdigit() else " ", text)
    found = [
        match
        for match in _WORD.finditer(text)
        if not (is_greek_name(match[0]) or re.fullmatch(f"[{_LATIN}]", match[0]))
    ]
    latin = [match for match in found if _IS_LATIN.match(match[0])]
    if not _IS_HAN.search(text):
        if all(is_formal(match[0]) for match in latin):
            found = [match for match in found if not _IS_LATIN.match(match[0])]
        return [match[0] for match in found]
    around = f"\n{text}\n"  # around[i] is the character before text[i]
    names = {m.start() for m in latin if is_name(m[0], around[m.start()], around[m.end() + 1])}
    return [match[0] for match in found if match.start() not in names]


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


def _said_in(formula: str) -> str:
    """What is said inside a formula: Han characters, and words that are in no group."""
    outside = _TEXT_IN_FORMULA.sub(lambda group: " ".join(_IS_HAN.findall(group[1])), formula)
    return _said(outside, _stands_out)


def _stands_out(word: str) -> bool:
    if len(word) == 2:  # others, such as `at`, are products
        return word in SHORT
    return word.lower() in COMMON or (len(word) > 3 and not is_formal(word))


def _said_in_code(code: str) -> str:
    common = COMMON - IN_CODE
    return _said(code, lambda word: word in (SHORT - IN_CODE if len(word) == 2 else common))


def _said(text: str, is_word: Callable[[str], bool]) -> str:
    found = _ALONE.findall(text)
    return f" {' '.join(word for word in found if _IS_HAN.match(word) or is_word(word))} "


def _without(text: str, opening: str, closing: str, most: int) -> str:
    """The text without what is enclosed; an opening without its closing within `most` stays."""
    if opening not in text:
        return text
    kept, place, end = [], 0, -1
    while (start := text.find(opening, place)) >= 0:
        inside = start + len(opening)
        if end < inside and (end := text.find(closing, inside)) < 0:
            break
        closed = end - inside <= most
        kept.append(text[place : start if closed else inside])
        if closed:
            said = _said_in if opening == "\\[" else _said_in_code
            kept.append(said(text[inside:end]))
        place = end + len(closing) if closed else inside
    return "".join([*kept, text[place:]])
