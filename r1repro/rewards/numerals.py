"""Numbers in words, English and Chinese, as digits."""

import re

from r1repro.rewards.units import MEASURES, UNITS, unit_of

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
_HAN_SIZES = {"十": 10, "百": 100, "千": 1_000}
_HAN_NUMBER = "[零〇一二两三四五六七八九十百千万亿]+"
_CHINESE = re.compile(rf"(负)?({_HAN_NUMBER})(?:(分之)({_HAN_NUMBER}))?(.*)")


def digits(text: str) -> str:
    r"""A text that is a number in words, perhaps with a unit, in digits; any other as it is.

    "one hundred and five apples" is "105 apples" and 三分之二 is \frac{2}{3}.
    """
    if not 0 < len(text) <= _LONGEST or not (text[0].isalpha() or text.startswith(r"\text")):
        return text
    bare = " ".join(re.sub(r"\\text\s*\{([^{}]*)\}", r" \1 ", text).split())
    return _english(bare) or _chinese(bare) or text


def _english(bare: str) -> str | None:
    found = _ENGLISH.fullmatch(bare.casefold())
    if found is None or (found[3] and unit_of(bare[found.start(3) :]) is None):
        return None
    unit = f" {bare[found.start(3) :]}" if found[3] else ""
    return f"{'-' if found[1] else ''}{_spelled(found[2])}{unit}"


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


def _chinese(bare: str) -> str | None:
    found = _CHINESE.fullmatch(bare)
    if found is None or not (found[5] in ("", *UNITS) or found[5] in MEASURES):
        return None
    sign, first, over, second, unit = found.groups()
    if over and first == "百":
        share = _han(second)
        return None if share is None else f"{'-' if sign else ''}{share}%"
    numbers = [_han(part) for part in (first, second) if part]
    if None in numbers or unit == "角" or (over and not numbers[0]):
        return None
    shown = rf"\frac{{{numbers[1]}}}{{{numbers[0]}}}" if over else str(numbers[0])
    return f"{'-' if sign else ''}{shown}{unit}"


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
    if number == "零":
        return 0
    found = re.fullmatch(
        "(?:([一-九])千)?零?(?:([一-九])百)?零?(?:([一-九])?(十))?零?([一-九])?".replace(
            "[一-九]", f"[{_HAN[1:]}]"
        ),
        number,
    )
    if not number or found is None or number.strip("零") == "":
        return None
    thousands, hundreds, tens, ten, ones = found.groups()
    values = [_HAN.index(part) if part else 0 for part in (thousands, hundreds, tens, ones)]
    if ten and not tens:
        values[2] = 1
    return sum(value * size for value, size in zip(values, (1_000, 100, 10, 1), strict=True))
