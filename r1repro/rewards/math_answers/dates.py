"""Dates and times of day in answers, which are neither differences nor quotients.

2024-01-02 is not 2021, and 10:01 is not 10.
"""

import re

from r1repro.rewards.math_answers.lexer import bare

_MONTHS = "january february march april may june july august september october november december"
_SHORT = [name[:3] for name in _MONTHS.split()]
_MONTH = rf"(?P<name>{'|'.join([*_MONTHS.split(), 'sept', *_SHORT])})\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?:\s*,?\s+(?P<year>\d{4}))?"
_DATES = (
    re.compile(r"(?P<year>\d{4})([-/.])(?P<month>\d{1,2})\2(?P<day>\d{1,2})"),
    re.compile(r"(?:(?P<year>\d{4})\s*年\s*)?(?P<month>\d{1,2})\s*月\s*(?P<day>\d{1,2})\s*[日号]"),
    re.compile(rf"{_MONTH}\s+{_DAY}{_YEAR}", re.IGNORECASE),
    re.compile(rf"(?:the\s+)?{_DAY}\s+(?:of\s+)?{_MONTH}{_YEAR}", re.IGNORECASE),
)
_HINT = re.compile(r"\d[-:/.年月]\d|\d\s*[月年apAP\\]|[A-Za-z]\S*\s+\d|\d\S*\s+[A-Za-z]")
_EITHER_ORDER = re.compile(r"(\d{1,2})([/.])(\d{1,2})\2(\d{4})")
_CLOCK = re.compile(
    r"(?P<hour>\d{1,2})(?::(?P<minute>[0-5]\d))?(?::(?P<second>[0-5]\d))?"
    r"\s*(?P<half>[ap]\.?\s?m\.?)?",
    re.IGNORECASE,
)


def moment(text: str) -> str | None:
    """A date or time of day in one notation; None for anything else.

    A time such as 3:30, of the morning or the afternoon, equals only itself.
    """
    if _HINT.search(text[:60]) is None or text.count("\\") > text.count(r"\text"):
        return None
    text = bare(text[:60])
    for pattern in _DATES:
        if found := pattern.fullmatch(text):
            said = found.groupdict()
            name = said.get("name")
            month = 1 + _SHORT.index(name[:3].casefold()) if name else int(said["month"])
            if 1 <= month <= 12 and 1 <= int(said["day"]) <= 31:
                year = f"{said['year']}-" if said["year"] else ""
                return f"date {year}{month}-{int(said['day'])}"
    if numbers := _EITHER_ORDER.fullmatch(text):
        return f"day and month {int(numbers[1])} {int(numbers[3])} of {numbers[4]}"
    found = _CLOCK.fullmatch(text)
    if found is None or not (found["minute"] or found["half"]):
        return None
    hour, half = int(found["hour"]), (found["half"] or "")[:1].casefold()
    if hour > 24 or (half and not 1 <= hour <= 12):
        return None
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    seconds = f":{found['second']}" if found["second"] else ""
    sure = half or not 1 <= hour <= 12
    return f"{'time' if sure else 'clock'} {hour}:{found['minute'] or '00'}{seconds}"
