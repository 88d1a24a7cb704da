"""Numbers in words, English and Chinese, as digits."""

import re

from r1repro.rewards.math_answers.lexer import bare
from r1repro.rewards.math_answers.units import MEASURES, UNITS, unit_of

SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    " sixteen seventeen eighteen nineteen"
).split()
TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
_LONGEST = 120
_UNIT = rf"(?:{'|'.join(SMALL[1:10])})"
_BELOW_100 = rf"(?:(?:{'|'.join(TENS[2:])})(?:[- ]{_UNIT})?|(?:{'|'.join(SMALL[10:])})|{_UNIT})"
_BELOW_1000 = rf"(?:(?:{_BELOW_100}|an?) hundred(?:(?: and)? {_BELOW_100})?|{_BELOW_100})"
_THOUSANDS = rf"(?:(?:{_BELOW_1000}|an?) thousand(?:,?(?: and)? {_BELOW_1000})?|{_BELOW_1000})"
_MILLIONS = rf"(?:(?:{_BELOW_1000}|an?) million(?:,?(?: and)? {_THOUSANDS})?|{_THOUSANDS}|zero)"
_ENGLISH = re.compile(rf"((?:negative|minus) )?({_MILLIONS})(?: (?!of\b|and\b|or\b)(.+))?")
_HAN = "零一二三四五六七八九"
_HAN_NUMBER = "[零〇一二两三四五六七八九十百千万亿]+"
_MYRIAD = re.compile("(?:(D)千)?零?(?:(D)百)?零?(?:(D)?十)?零?(D)?".replace("D", f"[{_HAN[1:]}]"))
_CHINESE = re.compile(rf"(负)?({_HAN_NUMBER})(?:(分之)({_HAN_NUMBER}))?(.*)")


def digits(text: str) -> str:
    r"""A text that is a number in words, perhaps with a unit, in digits; any other as it is.

    "one hundred and five apples" is "105 apples" and 三分之二 is \frac{2}{3}.
    """
    if not 0 < len(text) <= _LONGEST or not (text[0].isalpha() or text.startswith(r"\text")):
        return text
    words = bare(text)
    return _english(words) or _chinese(words) or text


def _english(text: str) -> str | None:
    found = _ENGLISH.fullmatch(text.casefold())
    if found is None:
        return None
    unit = text[found.start(3) :] if found[3] else ""
    if found[3] and unit_of(unit) is None:
        return None
    return f"{'-' if found[1] else ''}{_spelled(found[2])} {unit}".rstrip()


def _spelled(words: str) -> int:
    total = group = 0
    for word in re.findall("[a-z]+", words):
        if word in SMALL:
            group += SMALL.index(word)
        elif word in TENS:
            group += 10 * TENS.index(word)
        elif word == "hundred":
            group = 100 * max(1, group)
        elif word in ("thousand", "million"):
            total += max(1, group) * (1_000 if word == "thousand" else 10**6)
            group = 0
    return total + group


def _chinese(text: str) -> str | None:
    found = _CHINESE.fullmatch(text)
    if found is None or not (found[5] in ("", *UNITS) or found[5] in MEASURES):
        return None
    minus, (_, first, over, second, unit) = "-" if found[1] else "", found.groups()
    if over and first == "百":
        share = _han(second)
        return None if share is None else f"{minus}{share}%"
    numbers = [_han(part) for part in (first, second) if part]
    if None in numbers or unit == "角" or (over and not numbers[0]):
        return None
    shown = rf"\frac{{{numbers[1]}}}{{{numbers[0]}}}" if over else numbers[0]
    return f"{minus}{shown}{unit}"


def _han(number: str) -> int | None:
    """The value of Chinese digits with their sizes; None for digits in a row and sizes alone."""
    number = number.replace("两", "二").replace("〇", "零")
    total = 0
    for size, sign in ((10**8, "亿"), (10**4, "万")):
        if sign in number:
            head, _, number = number.partition(sign)
            many = _below_myriad(head)
            if not many:
                return None
            total += many * size
    rest = _below_myriad(number) if number else 0
    return None if rest is None else total + rest


def _below_myriad(number: str) -> int | None:
    found = _MYRIAD.fullmatch(number)
    if number == "零":
        return 0
    if found is None or not number.strip("零"):
        return None
    thousands, hundreds, tens, ones = (_HAN.find(part or "零") for part in found.groups())
    # 十 without a digit before it is one ten
    tens = max(tens, int("十" in number))
    return 1_000 * thousands + 100 * hundreds + 10 * tens + ones
