"""Metrics of any model's completions: format, thinking, language, reflection, repetition.

The report's metrics, for any R1-like model: tags may differ, the opening think tag may be in the
prompt, and the answer may have no tag.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from r1repro.text.language import is_mixed, language_share, words
from r1repro.text.reflection import reflection_count
from r1repro.text.repetition import repetition
from r1repro.text.tags import boxed
from r1repro.text.turns import first_turn, runs_on, without_end

LANGUAGES = ("auto", "en", "zh")
FIELDS = (
    "format_valid", "think_chars", "answer", "reflection_count", "reflection_per_1k_words",
    "language_share", "mixed", "repetition", "words", "words_in_all", "runs_on",
)  # fmt: skip
_LONGEST_ANSWER = 1_000
"""Maximum characters of an answer that are kept."""
_GAP = 200
"""An answer tag follows the thinking directly if only whitespace precedes it within this many
characters."""


@dataclass(frozen=True)
class Tags:
    """Tags of a model family; if `answer` is None, the answer follows the thinking untagged."""

    think: tuple[str, str] = ("<think>", "</think>")
    answer: tuple[str, str] | None = ("<answer>", "</answer>")


@dataclass(frozen=True)
class Parts:
    """The parts of a completion.

    thinking: None if none is marked.
    rest: text after the thinking.
    answer: None if none is marked.
    valid: see `parts`.
    """

    thinking: str | None
    rest: str
    answer: str | None
    valid: bool


def parts(text: str, tags: Tags) -> Parts:
    """Split a completion; without an opening think tag, the thinking starts at the beginning.

    Of a completion that goes on after its answer the first turn is split, and it is not valid.

    valid: the text is non-blank thinking followed by a non-blank answer, the format that R1-Zero's
        rules reward. Tags quoted within either do not invalidate it, but `answer` is None if marked
        twice. Without answer tags: some text follows the thinking.
    """
    found = _parts(first_turn(text) if runs_on(text) else without_end(text), tags)
    return replace(found, valid=found.valid and not runs_on(text))


def _parts(text: str, tags: Tags) -> Parts:
    opening, closing = tags.think
    stripped = text.strip()
    begins = stripped.startswith(opening) or opening not in stripped
    if tags.answer is None:
        before, marked, rest = text.partition(closing)
        thinking = before.partition(opening)[2] if opening in before else before
        valid = begins and bool(marked) and bool(thinking.strip()) and bool(rest.strip())
        unfinished = not marked and opening in text
        answer = None if unfinished else boxed(rest if marked else text)
        return Parts(thinking if marked else None, rest, answer, valid)
    start, end = tags.answer
    before, marked, rest = _before_answer(text, closing, start)
    thinking = before.partition(opening)[2] if opening in before else before
    tail = rest if marked else text
    inside = tail.partition(start)[2].rpartition(end)[0]
    single = tail.count(start) == tail.count(end) == 1 and bool(inside.strip())
    single = single and (bool(marked) or opening not in text)  # not from unfinished thinking
    valid = begins and bool(thinking.strip()) and bool(inside.strip()) and bool(marked)
    valid = valid and rest.lstrip().startswith(start) and stripped.endswith(end)
    answer = inside.strip() if single else None
    if start not in tail and end not in tail and (marked or opening not in text):
        answer = boxed(tail)  # R1's own answer format
    return Parts(thinking if marked else None, tail, answer, valid)


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
    if language == "auto":
        shares = [language_share(thought, one) for one in LANGUAGES[1:]]
        share = max(shares)
    else:
        share = language_share(thought, language)
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
