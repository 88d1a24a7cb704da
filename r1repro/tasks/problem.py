"""Problems and completions."""

from dataclasses import dataclass

GENERAL = ("translation", "fact", "instruction", "greeting", "refusal")


@dataclass(frozen=True)
class Problem:
    """A question with a checkable answer.

    id: canonical form, equal for the same problem in either language.
    task: one of GENERAL, or a reasoning family: arithmetic, countdown, or a data set's name.
    language: "en" or "zh", the language of the prompt.
    level: 1 (easy) to 5 (hard), optionally up to 8 in the mini world; 1 for general tasks.
    prompt: the question, without a template.
    answer: the gold answer; for countdown "numbers=target", which any correct expression meets; for
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
    """One sampled response.

    finished: whether it ended with an end-of-sequence token.
    """

    problem_id: str
    text: str
    token_ids: tuple[int, ...]
    finished: bool
