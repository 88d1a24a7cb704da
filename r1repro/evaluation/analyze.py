"""Metrics of any model's completions: format, thinking, language, reflection, repetition.

The report's metrics, for any R1-like model: tags may differ, the opening think tag may be in the
prompt, and the answer may have no tag.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from r1repro.text.language import is_mixed, language_share, words
from r1repro.text.reflection import reflection_count
from r1repro.text.repetition import repetition
from r1repro.text.tags import boxed
from r1repro.text.turns import first_turn, runs_on, without_end

LANGUAGES = ("en", "zh")
FIELDS = (
    "format_valid", "think_chars", "answer", "reflection_count", "reflection_per_1k_words",
    "language_share", "mixed", "repetition", "words", "words_in_all", "runs_on",
)  # fmt: skip
_LONGEST_ANSWER = 1_000
"""Characters of an answer that are kept."""
_GAP = 200
"""Most characters of whitespace between the thinking and an answer tag that follows directly."""


@dataclass(frozen=True)
class Tags:
    """Tags of a model family; if `answer` is None, the answer follows the thinking untagged."""

    think: tuple[str, str] = ("<think>", "</think>")
    answer: tuple[str, str] | None = ("<answer>", "</answer>")


@dataclass(frozen=True)
class Parts:
    """The thinking and the answer, None where none is marked; valid: see `parts`."""

    thinking: str | None
    answer: str | None
    valid: bool


def parts(text: str, tags: Tags) -> Parts:
    """Split a completion; without an opening think tag, the thinking starts at the beginning.

    If it goes on after its answer, only its first turn is split, and it is not valid.
    valid: the text is non-blank thinking followed by a non-blank answer, the format that R1-Zero's
        rules reward. Tags quoted within either do not invalidate it, but several blocks do, and
        `answer` is None if marked twice. Without answer tags: some text follows the thinking.
    """
    more = runs_on(text)
    text = first_turn(text) if more else without_end(text)
    opening, closing = tags.think
    start, end = tags.answer or ("", "")
    stripped = text.strip()
    if tags.answer is None:
        before, marked, rest = text.partition(closing)
    else:
        before, marked, rest = _before_answer(text, closing, start)
    thinking = before.partition(opening)[2] if opening in before else before
    tail = rest if marked else text
    unfinished = not marked and opening in text
    valid = not more and bool(marked) and bool(thinking.strip())
    valid = valid and (stripped.startswith(opening) or opening not in stripped)
    answer = None
    if tags.answer is None:
        valid = valid and bool(rest.strip())
        answer = boxed(tail)
    else:
        inside = tail.partition(start)[2].rpartition(end)[0].strip()
        again = any(_again(part, opening, (closing, end)) for part in (thinking, inside))
        valid = valid and bool(inside) and not again
        valid = valid and rest.lstrip().startswith(start) and stripped.endswith(end)
        if start not in tail and end not in tail:
            answer = boxed(tail)  # R1's own answer format
        elif tail.count(start) == tail.count(end) == 1:
            answer = inside or None
    return Parts(thinking if marked else None, None if unfinished else answer, valid)


def _again(part: str, opening: str, closings: tuple[str, ...]) -> bool:
    """Whether thinking begins anew after the end of an earlier block."""
    after = "|".join(map(re.escape, closings))
    return bool(opening and re.search(rf"(?:{after})\s{{0,20}}{re.escape(opening)}", part))


def _before_answer(text: str, closing: str, start: str) -> tuple[str, str, str]:
    """Split at the first closing think tag directly before an answer, or else at the first one."""
    place = text.find(closing)
    while place >= 0:
        rest = text[place + len(closing) :]
        if rest[:_GAP].lstrip().startswith(start):
            return text[:place], closing, rest
        place = text.find(closing, place + 1)
    return text.partition(closing)


def analyze(text: str, tags: Tags, language: str = "auto") -> dict[str, Any]:
    """The FIELDS of one completion; None for a number that does not apply.

    Language, `words` and mixing are measured on the thinking, or on the whole text if none is
    marked; reflection, repetition and `words_in_all` on the whole text. language "auto": the
    language with more words.
    """
    split = parts(text, tags)
    thought = split.thinking if split.thinking and split.thinking.strip() else text
    count, length = reflection_count(text), len(words(text))
    languages = LANGUAGES if language == "auto" else (language,)
    share = max(language_share(thought, one) for one in languages)
    return {
        "format_valid": split.valid,
        "think_chars": len(split.thinking or ""),
        "answer": split.answer[:_LONGEST_ANSWER] if split.answer else None,
        "reflection_count": count,
        "reflection_per_1k_words": round(1000 * count / length, 4) if length else None,
        "language_share": None if math.isnan(share) else round(share, 6),
        "mixed": is_mixed(thought),
        "repetition": round(repetition(text), 6),
        "words": len(words(thought)),
        "words_in_all": length,
        "runs_on": runs_on(text),
    }


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Shares and means over the rows that have a value; reflection per 1,000 words of all rows."""
    if not rows:
        return {"rows": 0}

    def mean(name: str) -> float | None:
        values = [float(row[name]) for row in rows if row[name] is not None]
        return round(sum(values) / len(values), 4) if values else None

    reflections = sum(row["reflection_count"] for row in rows)
    written = sum(row["words_in_all"] for row in rows)
    return {
        "rows": len(rows),
        "with_answer": round(sum(row["answer"] is not None for row in rows) / len(rows), 4),
        **{name: mean(name) for name in FIELDS if name != "answer"},
        "reflection_per_1k_words": round(1000 * reflections / written, 4) if written else None,
    }
