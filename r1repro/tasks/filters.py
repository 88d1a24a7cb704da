"""Sample filters of the cold start and of rejection sampling."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from r1repro.tasks.problem import Problem
from r1repro.text.language import is_mixed, language_share
from r1repro.text.readability import LONGEST_LINE, lines
from r1repro.text.repetition import repetition
from r1repro.text.tags import read, thinking

REPEATED = 0.5
"""Minimum share of repeated 4-grams at which a sample counts as repetitive."""
COMMON = 5
"""An NGRAM in more held-out questions than this is common phrasing."""
CODE = re.compile(
    r"```|^[ \t]*~~~|\\begin\s?\{(?:verbatim|lstlisting|minted)\}|<(?:pre|code)\b",
    re.MULTILINE | re.IGNORECASE,
)
"""What opens a code block, in Markdown, LaTeX and HTML; closed or not."""
NGRAM = 10
"""Length of n-grams that training text may not share with an evaluation (R1 v2, D.1)."""


def in_one_language(text: str) -> bool:
    """Whether the thinking is in one language; the editor can translate a wrong one."""
    return not is_mixed(thinking(text))


def unmixed(problem: Problem, text: str) -> bool:
    """Whether all words are of the question's language."""
    return not language_share(text, problem.language) < 1.0


def without_repetition(text: str) -> bool:
    """Whether the repetition of the thinking is below REPEATED."""
    return repetition(thinking(text)) < REPEATED


def without_long_paragraphs(text: str) -> bool:
    """Whether no line of the thinking exceeds LONGEST_LINE, display mathematics aside."""
    return all(len(line) <= LONGEST_LINE for line in lines(read(text).think))


def without_code_blocks(text: str) -> bool:
    """Whether the thinking opens no code block."""
    return not CODE.search(read(text).think)


def near_duplicate_key(text: str) -> str:
    """Key shared by completions with the same equations and numbers in the same order."""
    return " ".join(re.findall(r"[\d+\-*=()]+", text))


def contaminated(
    questions: Sequence[str], texts: Sequence[str], held_out: Iterable[Problem]
) -> list[bool]:
    """Whether each training example contains the question of a held-out problem.

    A question of at least NGRAM words matches on any shared n-gram in the example's question or
    text; a shorter one must equal the example's question (R1 v2, D.1: 10-grams; DeepSeekMath 2.1:
    exact match for shorter ones). A word is a number, a run of Latin letters, a Chinese character
    or a sign. N-grams in more than COMMON held-out questions are ignored.
    """
    counts: Counter[tuple[str, ...]] = Counter()
    short: set[tuple[str, ...]] = set()
    for problem in held_out:
        asked = tuple(_pieces(problem.prompt))
        if len(asked) < NGRAM:
            short.add(asked)
        counts.update(_ngrams(asked))
    grams = {gram for gram, count in counts.items() if count <= COMMON}
    flags = []
    for question, text in zip(questions, texts, strict=True):
        asked = tuple(_pieces(question))
        whole = _ngrams(asked) | _ngrams(tuple(_pieces(text)))
        flags.append(asked in short or not grams.isdisjoint(whole))
    return flags


def _ngrams(pieces: tuple[str, ...]) -> set[tuple[str, ...]]:
    return {pieces[start : start + NGRAM] for start in range(len(pieces) - NGRAM + 1)}


def _pieces(text: str) -> list[str]:
    return re.findall(r"\d+|[a-z]+|[^\W\da-z_]|[^\w\s]", text.casefold())
