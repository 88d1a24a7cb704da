"""What anyone's completions look like: format, thinking, language, reflection, repetition.

The measures are those of the report, for text by any R1-like model: its tags may be others, the
opening think tag may have been part of the prompt, and the answer may follow without a tag.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from r1repro.text.language import is_mixed, language_share, words
from r1repro.text.reflection import reflection_count
from r1repro.text.repetition import repetition
from r1repro.text.tags import boxed

LANGUAGES = ("auto", "en", "zh")
FIELDS = (
    "format_valid", "think_chars", "answer", "reflection_count", "reflection_per_1k_words",
    "language_share", "mixed", "repetition", "words", "words_in_all",
)  # fmt: skip
_LONGEST_ANSWER = 1_000
"""Characters of an answer that are kept."""
_GAP = 200
"""Characters of which an answer tag is the first that is no blank, to follow at once."""


@dataclass(frozen=True)
class Tags:
    """The tags of a family of models; without `answer` the answer is what follows the thinking."""

    think: tuple[str, str] = ("<think>", "</think>")
    answer: tuple[str, str] | None = ("<answer>", "</answer>")


@dataclass(frozen=True)
class Parts:
    """thinking: None where none is marked; rest: what follows it; answer: None where none is."""

    thinking: str | None
    rest: str
    answer: str | None
    valid: bool


def parts(text: str, tags: Tags) -> Parts:
    """Split a completion; a missing opening tag before a closing one was in the prompt.

    valid: the whole is thinking and then an answer, neither blank, which is the shape that rules of
    R1-Zero's kind pay; what either quotes does not count against it, but `answer` is None where it
    is marked twice. Without answer tags: something follows the thinking.
    """
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
    single = single and (bool(marked) or opening not in text)  # never from unfinished thinking
    valid = begins and bool(thinking.strip()) and bool(inside.strip()) and bool(marked)
    valid = valid and rest.lstrip().startswith(start) and stripped.endswith(end)
    answer = inside.strip() if single else None
    if start not in tail and end not in tail and (marked or opening not in text):
        answer = boxed(tail)  # as R1 itself answers
    return Parts(thinking if marked else None, tail, answer, valid)


def _before_answer(text: str, closing: str, start: str) -> tuple[str, str, str]:
    """Split at the first closing tag that an answer follows at once, or else at the first one."""
    place = text.find(closing)
    while place >= 0:
        rest = text[place + len(closing) :]
        if rest[:_GAP].lstrip().startswith(start):
            return text[:place], closing, rest
        place = text.find(closing, place + 1)
    return text.partition(closing)


def analyze(text: str, tags: Tags, language: str = "auto") -> dict[str, Any]:
    """The FIELDS of one completion; a number that it does not have is None.

    Language, `words` and mixing are read from the thinking, or from all of it where none is marked;
    reflection, repetition and `words_in_all` from the whole. language "auto": the one with more
    words, so that language_share is at least a half of what is in either.
    """
    found = parts(text, tags)
    thought = found.thinking if found.thinking and found.thinking.strip() else text
    count, length = reflection_count(text), len(words(text))
    if language == "auto":
        shares = [language_share(thought, one) for one in LANGUAGES[1:]]
        share = max(shares)
    else:
        share = language_share(thought, language)
    return {
        "format_valid": found.valid,
        "think_chars": len(found.thinking or ""),
        "answer": found.answer[:_LONGEST_ANSWER] if found.answer else None,
        "reflection_count": count,
        "reflection_per_1k_words": round(1000 * count / length, 4) if length else None,
        "language_share": None if math.isnan(share) else round(share, 6),
        "mixed": is_mixed(thought),
        "repetition": round(repetition(text), 6),
        "words": len(words(thought)),
        "words_in_all": length,
    }


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Over all rows: shares and means, of those that have the figure; reflection by all words."""
    if not rows:
        return {"rows": 0}

    def mean(name: str) -> float | None:
        values = [float(row[name]) for row in rows if row[name] is not None]
        return round(sum(values) / len(values), 4) if values else None

    said = sum(row["reflection_count"] for row in rows)
    written = sum(row["words_in_all"] for row in rows)
    return {
        "rows": len(rows),
        "with_answer": round(sum(row["answer"] is not None for row in rows) / len(rows), 4),
        **{name: mean(name) for name in FIELDS if name != "answer"},
        "reflection_per_1k_words": round(1000 * said / written, 4) if written else None,
    }
