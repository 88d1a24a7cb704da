"""Answers of a policy to a typed question, sampled and rewarded as in R1-Zero's training."""

import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from r1repro.config import RLConfig
from r1repro.errors import R1ReproError
from r1repro.generation.problem_samples import ask
from r1repro.generation.rollouts import Sampling
from r1repro.tasks import templates, typed
from r1repro.tasks.problem import Problem
from r1repro.text.language import language_of
from r1repro.training import worked_group


def answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    template: str,
    question: str,
    settings: RLConfig,
    n: int = 16,
    answer: str | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """`n` answers to a question, sampled and rewarded as in R1-Zero's training, as one group.

    Columns: completion, each reward, advantage. answer: the right one, needed for a question that
    is not the mini world's. Raises R1ReproError without it, and for a group of fewer than 2.
    """
    if n < 2:
        raise R1ReproError(f"n={n} is not accepted: give 2 or more, to compare answers in a group")
    asked = typed.problem(question)
    if answer is not None:
        asked = Problem("typed", "typed", language_of(question), 1, question, answer)
    if asked is None:
        raise R1ReproError(
            "the answer to this question is not known: give it as answer=..., or ask for a chain "
            "such as 12+7-3, or for a countdown such as 3,5,2 to make 16"
        )
    [batch] = ask(
        model, tokenizer, [asked], Sampling(settings.max_completion_tokens, settings.temperature),
        form=templates.asked(template), samples=n, rollout_batch=n, seed=seed,
    )  # fmt: skip
    return worked_group.graded(asked, [said for _, _, said in batch], settings)
