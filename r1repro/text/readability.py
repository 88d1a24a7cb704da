"""Rule-based readability of a response."""

from collections import Counter

from r1repro.text.language import language_share
from r1repro.text.tags import read

LONGEST_LINE = 80
"""Maximum characters in one line of thinking."""
OFTENEST_LINE = 2
"""Maximum occurrences of one line."""


def is_readable(text: str, language: str) -> bool:
    """Whether a reader of `language` can follow a response.

    Requires valid format, thinking in `language` only, and no line longer than LONGEST_LINE or
    repeated more than OFTENEST_LINE times. The paper uses human judgement and gives no rule (R1 v2,
    B.3.2), so this rule is ours.
    """
    reading = read(text)
    if not reading.format_valid:
        return False
    lines = [line.strip() for line in reading.think.split("\n") if line.strip()]
    if any(len(line) > LONGEST_LINE for line in lines):
        return False
    if any(times > OFTENEST_LINE for times in Counter(lines).values()):
        return False
    return not language_share(reading.think, language) < 1.0
