"""The parts of a text: lines of prose, and blocks of display mathematics or code."""

import re

_MARKS = re.compile(r"\\\[(?![\d.]{1,6}[a-z]{2}\])|\\\]|\\begin\s?\{|\\end\s?\{|\$\$|```")
_ALONE = re.compile(r"\s*(?:\\\[.*\\\]|\$\$.*\$\$|\\begin.*\\end\s?\{[^{}]*\}|```.*```)[\s.,;]*")
_OPENS = {"\\[": "\\]", "$$": "$$", "```": "```"}


def parts(text: str) -> list[tuple[str, bool]]:
    """(part, whether it is a block) in order, without blank lines.

    A block goes from the line that opens it to the line that closes it: `\\[ \\]`, `$$ $$`, an
    environment, or fenced code. A formula within a line is part of it; what is never closed is
    prose.
    """
    lines = [line.rstrip() for line in text.split("\n") if line.strip()]
    found, place, ends = [], 0, _ends(lines)
    while place < len(lines):
        end = ends.get(place, place)
        block = place in ends
        found.append(("\n".join(lines[place : end + 1]) if block else lines[place].strip(), block))
        place = end + 1
    return found


def _ends(lines: list[str]) -> dict[int, int]:
    """The last line of each block by its first."""
    ends: dict[int, int] = {}
    closing: str | None = None
    start = depth = 0
    for number, line in enumerate(lines):
        for mark in _MARKS.findall(line):
            if closing is None:
                if mark in _OPENS or mark.startswith("\\begin"):
                    start, depth = number, 1
                    closing = _OPENS.get(mark, "\\end")
            elif closing == "\\end" and mark.startswith("\\begin"):
                depth += 1
            elif mark == closing or (closing == "\\end" and mark.startswith("\\end")):
                depth -= 1
                if depth == 0:
                    closing = None
                    if start < number or _ALONE.fullmatch(line):
                        ends[start] = number
    return ends
