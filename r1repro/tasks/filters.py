"""Which samples may become training data: the filters of the cold start and rejection sampling."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from r1repro.tasks.problem import Problem
from r1repro.text.language import is_mixed, language_share
from r1repro.text.repetition import repetition
from r1repro.text.tags import read, thinking

REPEATED = 0.5
"""Share of 4-grams said before, from which a sample counts as repetition."""
LONGEST_PARAGRAPH = {True: 60, False: 1_000}
"""Characters of one line of thinking, above which it is a long paragraph: of a model made here,
whose lines are sums, and of any other."""
COMMON = 5
"""Held-out questions that an NGRAM may stand in before it counts as the words of asking."""
NGRAM = 10
"""Words in a row that no training text shares with an evaluation (R1 v2, D.1)."""


def in_one_language(text: str) -> bool:
    """Whether the thinking has no words of both languages; an editor may translate the whole."""
    return not is_mixed(thinking(text))


def unmixed(problem: Problem, text: str) -> bool:
    """Whether thinking and summary have no word of another language than the question's."""
    return not language_share(text, problem.language) < 1.0


def without_repetition(text: str) -> bool:
    """Whether a sample does not go in circles."""
    return repetition(thinking(text)) < REPEATED


def without_long_paragraphs(text: str, made_here: bool) -> bool:
    """Whether every line of the thinking is short enough to be read."""
    longest = LONGEST_PARAGRAPH[made_here]
    return all(len(line) <= longest for line in read(text).think.split("\n"))


def near_duplicate_key(text: str) -> str:
    """Equal for completions that differ in words only: their sums and numbers in order."""
    return " ".join(re.findall(r"[\d+\-*=()]+", text))


def contaminated(
    questions: Sequence[str], texts: Sequence[str], held_out: Iterable[Problem]
) -> list[bool]:
    """For each training example, whether it holds the question of a held-out problem.

    Of a question of NGRAM words or more, any NGRAM in a row count, in the example's question or
    its text; a shorter one counts where the example asks the same (R1 v2, D.1: 10-grams;
    DeepSeekMath 2.1: shorter ones by exact match). A number is one word here, and so is a Chinese
    character or a sign. What stands in more than COMMON held-out questions is how a data set asks.
    """
    counts: Counter[tuple[str, ...]] = Counter()
    short: set[tuple[str, ...]] = set()
    for problem in held_out:
        asked = tuple(_pieces(problem.prompt))
        if len(asked) < NGRAM:
            short.add(asked)
        counts.update(_ngrams(asked))
    grams = {gram for gram, count in counts.items() if count <= COMMON}
    found = []
    for question, text in zip(questions, texts, strict=True):
        asked = tuple(_pieces(question))
        whole = _ngrams(asked) | _ngrams(tuple(_pieces(text)))
        found.append(asked in short or not grams.isdisjoint(whole))
    return found


def _ngrams(pieces: tuple[str, ...]) -> set[tuple[str, ...]]:
    return {pieces[start : start + NGRAM] for start in range(len(pieces) - NGRAM + 1)}


def _pieces(text: str) -> list[str]:
    return re.findall(r"\d+|[a-z]+|[^\W\da-z_]|[^\w\s]", text.casefold())
