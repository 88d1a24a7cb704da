"""Formats durations for people."""


def duration(seconds: float | None) -> str:
    """Format seconds as 42 s, 3:07 min or 1:05 h; a dash for None or NaN."""
    if seconds is None or seconds != seconds:
        return "–"
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02} h"
