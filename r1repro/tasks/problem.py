"""The two things that travel: what was asked and what was said."""

from dataclasses import dataclass

GENERAL = ("translation", "fact", "instruction", "greeting", "refusal")


@dataclass(frozen=True)
class Problem:
    """A question with a checkable answer.

    id: canonical form, equal for the same problem in either language.
    task: family, one of GENERAL or else reasoning: arithmetic, countdown, or a data set's.
    language: "en" or "zh", the language of the prompt.
    level: 1 (easy) to 5 (hard), in the mini world on request to 8; general tasks are all level 1.
    prompt: the question as asked, without any template.
    answer: the gold answer; for countdown "numbers=target", which any right expression meets; for
        reasoning-gym the task's own.
    """

    id: str
    task: str
    language: str
    level: int
    prompt: str
    answer: str


@dataclass(frozen=True)
class Completion:
    """One sampled response: its text, its token ids, whether it ended by itself."""

    problem_id: str
    text: str
    token_ids: tuple[int, ...]
    finished: bool
