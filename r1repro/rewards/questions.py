"""What a question's words ask of its answer: rounding, a base, a percentage."""

import re

from r1repro.rewards.numerals import SMALL, TENS

# A round trip, the third round, "approximately 300 feathers" and "she estimates that" ask for none.
_ROUNDING = re.compile(
    r"\bround(?:ed|ing)? (?:off\b|it\b|answers?\b"
    r"|(?:up |down )?to (?:the|its|an?|one|two|three|four|\$?\d)"
    r"|(?:your|the|all|each|any)(?: \w+)? (?:answer|result|value|number|figure)s?\b)"
    r"|\bnearest\b|decimal place|significant (?:digit|figure)"
    r"|approximat(?![a-z]*[\s$\\]*\d)|\bestimate\b(?! (?:that|there)\b)"
    r"|保留|精确到|四舍五入|近似|约等于",
    re.IGNORECASE,
)
_BASE = re.compile(
    r"\bbase[-\s]*[$\\({]*\s*(\d{1,2}|[a-z]+)|([\d一二三四五六七八九]{1,2})\s*\$?\s*进制", re.I
)
_NAMED_BASES = {
    2: r"\bbinary\b|二进制", 8: r"\boctal\b|八进制", 16: r"\bhex(?:adecimal)?\b|十六进制",
}  # fmt: skip
_HAN = "零一二三四五六七八九"
_PERCENTAGE = re.compile(
    r"percentage|百分[比率数]|百分之[几多]"
    r"|(?<!\d)(?<!\d\s)(?<!\d\$)(?<!\d\$\s)(?:percent\b|\\%|(?<!\\)%)",
    re.IGNORECASE,
)
_GIVEN = re.compile(
    rf"\b(?:{'|'.join((*SMALL, *TENS[2:], 'hundred'))})[- ]percent\b", re.IGNORECASE
)


def asks_for_rounding(question: str | None) -> bool:
    """Whether a question asks for a rounded or approximate answer."""
    return bool(question and _ROUNDING.search(question))


def asks_for_base(question: str | None, base: int) -> bool:
    """Whether a question names a base in words, as in "in base 5" and "in binary".

    The index of a number such as 101_2 asks for nothing.
    """
    if not question:
        return False
    if base in _NAMED_BASES and re.search(_NAMED_BASES[base], question, re.IGNORECASE):
        return True
    return any(_size(one or other) == base for one, other in _BASE.findall(question))


def _size(shown: str) -> int:
    if shown.isdecimal():
        return int(shown)
    word = shown.casefold()
    return SMALL.index(word) if word in SMALL else _HAN.find(word)


def asks_for_percentage(question: str | None) -> bool:
    """Whether a question asks how many percent something is; in "20% of them" it does not."""
    return bool(question and _PERCENTAGE.search(_GIVEN.sub("", question)))
