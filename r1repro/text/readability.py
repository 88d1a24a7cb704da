"""Whether a reader can follow a response, by a rule."""

from collections import Counter

from r1repro.text.language import language_share
from r1repro.text.tags import read

LONGEST_LINE = 80
"""Characters of one line of thinking."""
OFTENEST_LINE = 2
"""Times that one line may occur."""


def is_readable(text: str, language: str) -> bool:
    """Whether a response can be followed by somebody who reads `language`.

    Valid format; thinking without a word of another language; no line of it longer than
    LONGEST_LINE or said more than OFTENEST_LINE times. The paper asks people and gives no rule
    (R1 v2, B.3.2): this one is ours.
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
