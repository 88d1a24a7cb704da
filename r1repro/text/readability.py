"""Rule-based readability of a response."""

from collections import Counter

from r1repro.text import display
from r1repro.text.language import language_share
from r1repro.text.tags import read

LONGEST_LINE = 1_000
"""Maximum characters in one line of thinking, also of the training data (tasks/filters.py)."""
OFTENEST_LINE = 2
"""Maximum occurrences of one line."""


def lines(thinking: str) -> list[str]:
    """The lines of the thinking, without blank lines, display mathematics and code."""
    return [line for line, block in display.parts(thinking) if not block]


def is_readable(text: str, language: str) -> bool:
    """Whether a reader of `language` can follow a response.

    Requires valid format, thinking in `language` only, and no line longer than LONGEST_LINE or
    repeated more than OFTENEST_LINE times. The paper uses human judgement and gives no rule (R1 v2,
    B.3.2), so this rule is ours.
    """
    reading = read(text)
    if not reading.format_valid:
        return False
    times = Counter(lines(reading.think))
    if any(len(line) > LONGEST_LINE or times[line] > OFTENEST_LINE for line in times):
        return False
    return not language_share(reading.think, language) < 1.0
