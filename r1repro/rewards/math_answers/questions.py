"""What a question's words ask of its answer: rounding, a base, a percentage."""

import re

from r1repro.rewards.math_answers.numerals import SMALL, TENS

# A round trip, the third round, "approximately 300 feathers" and "she estimates that" ask for none.
_ROUNDING = re.compile(
    r"\bround(?:ed|ing)? (?:off\b|it (?:off|up|down|to)\b|answers?\b"
    r"|(?:up |down )?to (?:the|its|an?|one|two|three|four|five|six|whole|\$?\d"
    r"|tenths?|hundredths?|thousandths?|integers?|cents?)\b"
    r"|(?:your|the|all|each|any)(?: \w+)? (?:answer|result|value|number|figure)s?\b)"
    r"|\bnearest\b|decimal place|significant (?:digit|figure)"
    r"|approximat(?![a-z]*[\s$\\]*\d)|\bestimate\b(?! (?:that|there)\b)"
    r"|保留[^。；;，,]{0,6}(?:小数|有效数字|位|整数)|保留到|精确到|四舍五入|近似|约等于",
    re.IGNORECASE,
)
_FORBIDDEN = re.compile(
    r"\b(?:not|don't|never|without|no|rather than|instead of)\s+(?:to\s+)?(?:use\s+|give\s+|as\s+)?"
    r"(?:an?\s+|any\s+)?(?:decimal\s+|numerical\s+)?(?:round|approximat)\w*",
    re.IGNORECASE,
)
_BASE = re.compile(
    r"\bbase[-\s]*[$\\({]*\s*(\d{1,2}|[a-z]+)|([\d一二三四五六七八九十]{1,2})\s*\$?\s*进制", re.I
)
_NAMED_BASES = {
    2: r"\bbinary\b|二进制", 8: r"\boctal\b|八进制", 16: r"\bhex(?:adecimal)?\b|十六进制",
}  # fmt: skip
_TO_TEN = re.compile(
    r"\b(?:to|in|into|as)\s+(?:an?\s+)?(?:base[-\s]*[$\\({_]*\s*(?:10|ten)\b|decimal\b)"
    r"|[为成]\s*十进制",
    re.IGNORECASE,
)
_HAN = "零一二三四五六七八九十"
_PERCENTAGE = re.compile(
    r"percentage|百分[比率数]|百分之[几多]"
    r"|(?<!\d)(?<!\d\s)(?<!\d-)(?<!\d\$)(?<!\d\$\s)(?:per ?cent\b|\\%|(?<!\\)[%％])",
    re.IGNORECASE,
)
_GIVEN = re.compile(
    rf"\b(?:{'|'.join((*SMALL, *TENS[2:], 'hundred'))})[- ]per ?cent\b", re.IGNORECASE
)


def asks_for_rounding(question: str | None) -> bool:
    """Whether a question asks for a rounded or approximate answer."""
    return bool(question and _ROUNDING.search(_FORBIDDEN.sub(" ", question)))


def asks_for_base(question: str | None, base: int) -> bool:
    """Whether a question names a base in words, as in "in base 5" and "in binary".

    The index of a number such as 101_2 asks for nothing.
    """
    if not question:
        return False
    if base in _NAMED_BASES and re.search(_NAMED_BASES[base], question, re.IGNORECASE):
        return True
    return any(_size(one or other) == base for one, other in _BASE.findall(question))


def asks_for_base_ten(question: str | None) -> bool:
    """Whether a question asks for a number in base ten, as in "convert 1302_5 to base 10"."""
    return bool(question and _TO_TEN.search(question))


def _size(shown: str) -> int:
    if shown.isdecimal():
        return int(shown)
    word = shown.casefold()
    return SMALL.index(word) if word in SMALL else _HAN.find(word)


def asks_for_percentage(question: str | None) -> bool:
    """Whether a question asks how many percent something is; in "20% of them" it does not."""
    return bool(question and _PERCENTAGE.search(_GIVEN.sub("", question)))
