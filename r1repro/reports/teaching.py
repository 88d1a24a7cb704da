"""Small worked examples for the notebooks: a mask, a pair, one question's samples, rewards."""

import math
import random

import pandas as pd
from pandas.io.formats.style import Styler
from transformers import PreTrainedTokenizerFast

from r1repro.config import RLConfig
from r1repro.tasks import asking, word_problems
from r1repro.tasks.problem import Completion, Problem
from r1repro.training import worked_group
from r1repro.training.sft import IGNORED

WORKED = ("arithmetic", word_problems.FAMILY)
"""Families with one derivation, which ends in the answer."""


def rewards(problem: Problem, settings: RLConfig) -> pd.DataFrame:
    """What three completions earn: right in its tags, right without tags, wrong in its tags."""
    solved = asking.worked(random.Random(0), problem) if problem.task in WORKED else None
    work = "\n".join(solved.split("\n")[1:-1]) if solved else problem.prompt
    answer = problem.answer
    texts = (
        f"<think>{work}</think><answer>{answer}</answer>",
        f"The answer is {answer}",
        f"<think>{work}</think><answer>{answer}1</answer>",
    )
    said = [Completion(problem.id, text, (), True) for text in texts]
    return worked_group.graded(problem, said, settings)


def tokens(table: pd.DataFrame) -> Styler:
    """The tokens of a completion as a table: quoted, since some are blank, and escaped."""
    quoted = table.round(3).assign(token=[repr(token) for token in table["token"]])
    numbers = quoted.select_dtypes("float").columns
    quoted[numbers] += 0.0  # a rounded -0.0 becomes 0.0
    return quoted.style.format(precision=3, escape="html")


def shown(group: pd.DataFrame) -> Styler:
    """A group of answers as a table: completions whole and escaped, since they are model output."""
    left = {"white-space": "pre-wrap", "text-align": "left"}
    table = group.style.format({"advantage": "{:+.2f}"}, precision=2, escape="html")
    return table.set_properties(subset=["completion"], **left)


def loss_mask(tokenizer: PreTrainedTokenizerFast, prompt: str, completion: str) -> pd.DataFrame:
    """Which tokens of a fine-tuning example the loss covers: those of the completion and its end.

    label: the token's own id, which is predicted from the tokens before it, or -100, which
    PyTorch's cross-entropy leaves out.
    """
    asked = tokenizer.encode(prompt, add_special_tokens=False)
    said = [*tokenizer.encode(completion, add_special_tokens=False), tokenizer.eos_token_id]
    labels = [IGNORED] * len(asked) + said
    tokens = [tokenizer.decode([token]) for token in (*asked, *said)]
    table = pd.DataFrame({"token": tokens, "label": labels})
    return table.assign(trained=table["label"] != IGNORED).rename_axis("position")


def bradley_terry(pairs: pd.DataFrame) -> pd.DataFrame:
    """The loss of the first held-out pair by id, from its two scores.

    P(chosen over rejected) = sigmoid(s_chosen - s_rejected); the loss is minus its logarithm
    (Bradley and Terry 1952; R1 v2, section 3.1).
    """
    held_out = pairs[pairs["split"] == "held out"].sort_values("problem_id", kind="stable")
    rows = []
    for _, pair in held_out.head(1).iterrows():
        apart = float(pair["score_chosen"]) - float(pair["score_rejected"])
        better = 1 / (1 + math.exp(-apart))
        rows += [
            ("score of the chosen answer", float(pair["score_chosen"])),
            ("score of the rejected answer", float(pair["score_rejected"])),
            ("difference", apart),
            ("P(chosen is better) = sigmoid(difference)", better),
            ("loss = -log P", math.log1p(math.exp(-apart))),
            ("loss if both scored alike", math.log(2)),
        ]
    return pd.DataFrame(rows, columns=["of the pair", "value"]).set_index("of the pair")


def one_question(samples: pd.DataFrame) -> pd.DataFrame:
    """Every sample of one question, with the filter that dropped it, or "kept".

    The first question by id whose samples met the most different fates.
    """
    fates = samples.assign(fate=samples["dropped"].replace("", "kept"))
    several = fates.groupby(["problem_id", "language"])["fate"].nunique()
    problem, language = several.sort_values(ascending=False, kind="stable").index[0]
    chosen = fates[(fates["problem_id"] == problem) & (fates["language"] == language)]
    return chosen[["fate", "text"]].set_index(pd.Index(chosen["sample"], name="sample"))
