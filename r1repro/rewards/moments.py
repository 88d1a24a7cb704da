"""Dates and times of day in answers.

They are no differences or quotients: 2024-01-02 is no 2021 and 10:01 no 10.
"""

import re

_MONTHS = "january february march april may june july august september october november december"
_NAMES = {name: i for i, name in enumerate(_MONTHS.split(), 1)}
_SHORT = {name[:3]: i for name, i in _NAMES.items()} | {"sept": 9}
_MONTH = rf"(?P<name>{'|'.join([*_NAMES, 'sept', *(name[:3] for name in _NAMES)])})\.?"
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

    A time such as 3:30 may be in the morning or the afternoon, so it equals only itself.
    """
    if _HINT.search(text[:60]) is None or text.count("\\") > text.count(r"\text"):
        return None
    bare = " ".join(re.sub(r"\\text\s*\{([^{}]*)\}", r" \1 ", text[:60]).split())
    for pattern in _DATES:
        found = pattern.fullmatch(bare)
        if found is not None:
            named = found.groupdict()
            name = (named.get("name") or "").casefold()
            month = _NAMES.get(name) or _SHORT.get(name) or int(named["month"])
            if 1 <= month <= 12 and 1 <= int(named["day"]) <= 31:
                year = f"{named['year']}-" if named["year"] else ""
                return f"date {year}{month}-{int(named['day'])}"
    if numbers := _EITHER_ORDER.fullmatch(bare):
        return f"day and month {int(numbers[1])} {int(numbers[3])} of {numbers[4]}"
    return _clock(bare)


def _clock(bare: str) -> str | None:
    found = _CLOCK.fullmatch(bare)
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
