r"""Units, currencies and counted nouns beside a number.

A unit on one side only does not count: 12 equals 12 cm and 12 apples. Two units are converted:
12 cm is 0.12 m and not 12 m. Words that change the number (half, or more) make the text unreadable
as a number, unless their meaning is certain (million).
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from r1repro.rewards.math_answers.lexer import NAMED, bare

_SI = {
    "length": (("m",), ("meter", "metre"), "n u μ m c d k"),
    "mass": (("g",), ("gram", "gramme"), "u μ m k"),
    "volume": (("L", "l"), ("liter", "litre"), "m c d"),
    "time": (("s",), ("second",), "n u μ m"),
    "force": (("N",), ("newton",), "k m"),
    "energy": (("J",), ("joule",), "k M m"),
    "electron volt": (("eV",), ("electronvolt",), "k M G m"),
    "power": (("W",), ("watt",), "k M m"),
    "voltage": (("V",), ("volt",), "k m"),
    "current": (("A",), ("amp", "ampere"), "m"),
    "frequency": (("Hz",), ("hertz",), "k M G"),
    "pressure": (("Pa",), ("pascal",), "k M"),
    "amount": (("mol",), ("mole",), "m"),
    "resistance": ((r"\Omega", "Ω"), ("ohm",), "k M"),
    "charge": (("C",), ("coulomb",), "u μ m n"),
    "heat": (("cal",), ("calorie",), "k"),
}
_PREFIXES = {
    "": ("", 0), "n": ("nano", -9), "u": ("micro", -6), "μ": ("micro", -6), "m": ("milli", -3),
    "c": ("centi", -2), "d": ("deci", -1), "k": ("kilo", 3), "M": ("mega", 6), "G": ("giga", 9),
}  # fmt: skip
_OTHERS = """
length 0.0254: in inch inches
length 0.3048: ft foot feet
length 0.9144: yd yard yards
length 1609.344: mi mile miles
length 1: 米
length 0.01: 厘米
length 0.1: 分米
length 0.001: 毫米
length 1000: 千米 公里
mass 1: 克
mass 1000: 千克 公斤
mass 1000000: ton tons tonne tonnes 吨
mass 500: 斤
pound 1: lb lbs pound pounds
pound 0.0625: oz ounce ounces
volume 1: 升
volume 0.001: 毫升
time 1: sec secs 秒
time 60: min mins minute minutes 分钟
time 3600: h hr hrs hour hours 小时 时
time 86400: day days 天 日
time 604800: week weeks 周
month 1: month months 月 个月
month 12: yr yrs year years 年 岁
energy 0.0000001: erg ergs
USD 1: USD dollar dollars bucks 美元
USD 0.01: cent cents ¢
EUR 1: EUR euro euros 欧元
GBP 1: GBP
CNY 1: CNY RMB yuan 元 块 人民币
CNY 0.1: 角
INR 1: INR Rs rupee rupees
temperature 1: K kelvin kelvins
% 0.01: % percent pct
degree 1: ° degree degrees deg 度
temperature in C 1: °C 摄氏度 Celsius
temperature in F 1: °F
"""
_SCALES = {
    "hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9, "trillion": 10**12,
    "dozen": 12, "万": 10**4, "亿": 10**8, "百": 100, "千": 1_000,
}  # fmt: skip
_CHANGES = frozenset(
    """or more less fewer than least most at up down under over above below beyond not no non
    wrong maybe perhaps possibly half halves third thirds quarter quarters fourth fourths
    fifth fifths sixth sixths seventh eighth eighths ninth tenth tenths hundredth hundredths
    thousandth thousandths squared cubed factorial times plus minus mod modulo divided
    multiplied multiple multiples point vs versus if unless except but is are was were be to
    from between about around nor neither either twice double triple doubled tripled dozens
    hundreds thousands millions pi infinity negative root power exponent inclusive exclusive
    else otherwise guess approximately because since so when remainder score gross pairs pair
    one two three four five six seven eight nine ten eleven twelve zero twenty thirty forty
    fifty sixty seventy eighty ninety hundred thousand million billion trillion dozen until
    through within without instead rather false true yes all none any both squares cubes
    reciprocal inverse log base percent and/or mil mill bil thou grand lakh lakhs crore
    crores incorrect incorrectly wrongly invalid rejected eliminated discarded excluded guessed
    too cannot can't doesn't don't didn't isn't fails failed off missing opposite inverted octal
    binary hex hexadecimal shorter longer younger older taller bigger smaller larger half-life
    half-lives zeros zeroes myriad myriads""".split()
)
# Magnitudes and fractions of every size: quadrillion, ninths, sixteenths, millionths.
_MAGNITUDE = re.compile(r"(?:nin|twelf|\w+(?:teen|tie|dred|sand|illion))ths?|\w*illions?")
_HAN_CHANGES = re.compile("[或和与及到至约半倍万千百亿十几多不非无余以第、]")
MEASURES = (
    "个只本支枝张件头名位组套辆块朵颗把双页种次条棵人岁分题项盒箱袋瓶杯碗座间层排行列艘架台部"
)
_NAME = r"(?:°?[A-Za-zμΩ%¢]+\.?|°|[\u4e00-\u9fff]+)"
_UNIT = re.compile(
    rf"\s*(?:(?P<kind>square|cubic|sq\.?|cu\.?|平方|立方)\s*)?(?P<name>{_NAME})"
    r"(?P<power>[²³])?"
)
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+\.?|[\u4e00-\u9fff]{1,3}?(?=\s*(?:[\d零]|$)))")
_COMPOUND = re.compile(rf"{_QUANTITY.pattern}(?:\s*,?\s*(?:and\s+|零)?{_QUANTITY.pattern})+")
_POWERS = {"1": 1, "²": 2, "³": 3, "s": 2, "c": 3, "平": 2, "立": 3}
_JOINED = re.compile(r"\s*(/|\*|·|per\b|每)\s*")
_ARTICLES = ("the", "a", "an", "of", "total", "in")
_NOUNS = re.compile(r"[A-Za-z]+(?:[' -][A-Za-z]+)*")
_NO_TAIL = r"[^A-Za-z\u4e00-\u9fff%¢Ωμ°²³/.' -]\s*"
_ORDINAL = re.compile(r"\d\s*(?:\\text\s*\{\s*)?(?:st|nd|rd|th)\s*\}?$")
_BARE_LETTERS = ("m", "g")
"""Units of one letter that are taken as such outside of a text command; others are variables."""


@dataclass(frozen=True)
class Unit:
    """Dimensions with their powers, and the factor to the basic unit of each; or a counted noun."""

    dimensions: tuple[tuple[str, int], ...] = ()
    factor: Fraction = Fraction(1)
    noun: str = ""


def _table() -> dict[str, tuple[str, Fraction]]:
    found: dict[str, tuple[str, Fraction]] = {}
    for kind, (signs, words, prefixes) in _SI.items():
        for prefix in ("", *prefixes.split()):
            name, power = _PREFIXES[prefix]
            names = [name + word + end for word in words for end in ("", "s")]
            names += [prefix + sign for sign in signs]
            found |= dict.fromkeys(names, (kind, Fraction(10) ** power))
    for line in _OTHERS.strip().splitlines():
        head, _, others = line.partition(":")
        kind, _, factor = head.rpartition(" ")
        found |= dict.fromkeys(others.split(), (kind, Fraction(factor)))
    return found


UNITS = _table()
_FLAT = (
    (re.compile(r"\\text\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\s*\^\s*(?:\{\s*\\circ\s*\}|\\circ)"), "°"),
    (re.compile(r"\\pi(?![A-Za-z])"), "π"),
    (re.compile(r"\\Omega(?![A-Za-z])"), "Ω"),
    (re.compile(r"(?<=[A-Za-z\u4e00-\u9fff])\s*\^\s*(?:\{\s*2\s*\}|2(?!\d))"), "²"),
    (re.compile(r"(?<=[A-Za-z\u4e00-\u9fff])\s*\^\s*(?:\{\s*3\s*\}|3(?!\d))"), "³"),
)
_DEEP = {"°": r"^\circ ", "π": r"\pi ", "Ω": r"\Omega ", "²": "^2", "³": "^3"}
_TAIL = re.compile(r"[A-Za-z\u4e00-\u9fff%¢Ωμ°][A-Za-z\u4e00-\u9fff%¢Ωμ°²³/.' -]*")


def split_unit(text: str) -> tuple[str, Unit | None, Fraction] | None:
    """(number, unit, scale) of a text such as 12 km/h, 3 million people or 70 degrees.

    None if the text ends in words that are no unit, so that it is no number either. A text that
    does not end in words is returned as it is.
    """
    whole, flat = (text, None, Fraction(1)), text
    for pattern, written in _FLAT:
        flat = pattern.sub(written, flat)
    flat = re.sub(r"(?<=\d)(?:st|nd|rd|th)(?= |$)", "", " ".join(flat.split())).strip()
    start = max((found.end() for found in re.finditer(_NO_TAIL, flat)), default=0)
    found = _TAIL.match(flat, start) if start else None
    if found is None or flat[start - 1] == "\\":
        return _written(flat) if _ORDINAL.search(text) else text, None, Fraction(1)
    head, plain = _written(flat[:start]), found[0].strip()
    marked, scale = r"\text" in text, Fraction(1)
    if re.match("[a-z] [^ ]", plain) and not marked:  # 2x cm
        head, plain = f"{head}{plain[0]}", plain[2:]
    word = next((word for word in _SCALES if re.match(rf"{word}(?![a-z])", plain, re.I)), None)
    if word and plain not in UNITS:
        scale, plain = Fraction(_SCALES[word]), plain[len(word) :].strip()
        if not plain:
            return head, None, scale
    if not marked and (_is_formula(plain) or (_known(plain) is None and is_product(plain))):
        return whole
    unit = unit_of(plain)
    if unit and unit.dimensions == (("degree", 1),) and _ANGLED.search(head):
        return whole
    if unit is None:  # letters without a word are variables, such as the x/y of 2x/y
        return None if marked or re.search(r"[A-Za-z]{3}|[\u4e00-\u9fff%°¢]", plain) else whole
    return head, unit, scale


def _written(flat: str) -> str:
    for sign, command in _DEEP.items():
        flat = flat.replace(sign, command)
    return flat.strip()


def _is_formula(plain: str) -> bool:
    """Whether bare words after a number are a function's or a Greek letter's name, or a letter."""
    if len(plain) == 1 and plain.isascii() and plain.isalpha():
        return plain not in _BARE_LETTERS
    return plain not in UNITS and not NAMED.isdisjoint(re.findall("[a-z]+", plain))


def is_product(plain: str) -> bool:
    """Whether letters after a number are variables, such as the xy of 12xy, and no word."""
    letters = re.sub("[ ²³]", "", plain)
    if letters == "no" or not re.fullmatch("[A-Za-z]{1,3}", letters):
        return False
    return len(letters) < 3 or set(letters) <= set("abcd") or set(letters).isdisjoint("aeiouy")


def unit_of(plain: str) -> Unit | None:
    """The unit or counted noun that words name; None if they may change the number."""
    plain = plain.replace("° ", "°").strip().rstrip(".")
    known = _known(plain)
    if known is not None:
        return known
    first, _, rest = plain.partition(" ")
    if first in UNITS and _is_phrase(rest):
        return _known(first)
    if plain.startswith("per cent"):
        return _known("%")
    if re.search(r"[\u4e00-\u9fff]", plain):
        word = plain.removesuffix("钟")
        if word[:1] in MEASURES and not _HAN_CHANGES.search(word) and len(word) <= 7:
            return Unit(noun=word[1:] or word)
        return None
    return Unit(noun=_stem(plain)) if _is_phrase(plain) else None


def _is_phrase(plain: str) -> bool:
    words = plain.casefold().split()
    return (
        len(words) <= 7
        and _NOUNS.fullmatch(plain) is not None
        and any(len(word) > 2 for word in words)
        and not any(len(word) == 1 and word != "a" for word in words)
        and not any(map(_MAGNITUDE.fullmatch, words))
        and _CHANGES.isdisjoint(words)
    )


def _stem(plain: str) -> str:
    """The noun of a phrase without articles and plurals."""
    words = [word for word in plain.casefold().split() if word not in _ARTICLES]
    return " ".join(w[:-1] if len(w) > 3 and w.endswith("s") else w for w in words)


def compound(text: str) -> tuple[Fraction, Unit] | None:
    """The number and unit of a quantity in several units, such as 2 hours and 30 minutes.

    None unless each part is of the same kind and less than one of the unit before it.
    """
    if not text[:1].isdigit() or text[-1].isdigit():
        return None
    flat = bare(text[:120])
    if _COMPOUND.fullmatch(flat) is None:
        return None
    total, units = Fraction(0), list[Unit]()
    for number, name in _QUANTITY.findall(flat):
        last = units[-1] if units else None
        minutes = last and last.dimensions == (("time", 1),) and name.rstrip(".") == "m"
        unit = _known("min" if minutes else name.rstrip("."))
        if unit is None or not unit.dimensions:
            return None
        size = Fraction(number) * unit.factor
        if last and (unit.dimensions != last.dimensions or size >= last.factor or "." in number):
            return None
        total += size
        units.append(unit)
    return total / units[0].factor, units[0]


def _known(plain: str) -> Unit | None:
    dimensions: dict[str, int] = {}
    factor, sign, place = Fraction(1), 1, 0
    while True:
        found = _UNIT.match(plain, place)
        if found is None:
            return None
        name = found["name"].rstrip(".") if found["name"].rstrip(".") in UNITS else found["name"]
        power = _POWERS[(found["kind"] or found["power"] or "1")[0]]
        if name in ("mph", "kph"):
            pairs = [(*UNITS["mi" if name == "mph" else "km"], 1), (*UNITS["h"], -1)]
        elif name.rstrip("s") == "unit":
            pairs = []
        elif name in UNITS:
            pairs = [(*UNITS[name], power)]
        else:
            return None
        for dimension, size, exponent in pairs:
            dimensions[dimension] = dimensions.get(dimension, 0) + sign * exponent
            factor *= size ** (sign * exponent)
        place = found.end()
        if place == len(plain):
            kept = tuple(sorted((name, power) for name, power in dimensions.items() if power))
            return Unit(kept, factor if kept else Fraction(1))
        joint = _JOINED.match(plain, place)
        if joint is None:
            return None
        sign = sign if joint[1] in "*·" else -1
        place = joint.end()


_ANGLED = re.compile(r"sin|cos|tan|cot|sec|csc")
"""Functions of an angle: the degrees belong to their argument."""
_MONEY = re.compile(
    r"(-?)\s*(?:\\text\s*\{\s*)?(USD|EUR|GBP|CNY|INR|RMB|Rs\.?)\s*\}?\s*(-?[\d.].*)", re.DOTALL
)


def split_money(text: str) -> tuple[str, Unit | None]:
    """(number, currency) of a text that begins with a currency."""
    found = _MONEY.fullmatch(text)
    if found is None:
        return text, None
    return found[1] + found[3], _known(found[2].rstrip("."))
