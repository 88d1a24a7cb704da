"""Small worked examples for the notebooks: rewards, a mask, a pair, the samples of a question."""

import math
import random

import pandas as pd
from pandas.io.formats.style import Styler
from transformers import PreTrainedTokenizerFast

from r1repro.config import RLConfig
from r1repro.tasks import prompting, word_problems
from r1repro.tasks.problem import Completion, Problem
from r1repro.training import worked_group
from r1repro.training.sft import IGNORED

WORKED = ("arithmetic", word_problems.FAMILY)
"""Families whose problems have one derivation, which ends in the answer."""


def rewards(problem: Problem, settings: RLConfig) -> pd.DataFrame:
    """The rewards of three completions: right with tags, right without tags, wrong with tags."""
    work, answer = problem.prompt, problem.answer
    if problem.task in WORKED and (solved := prompting.worked(random.Random(0), problem)):
        work = "\n".join(solved.split("\n")[1:-1])
    texts = (
        f"<think>{work}</think><answer>{answer}</answer>",
        f"The answer is {answer}",
        f"<think>{work}</think><answer>{answer}1</answer>",
    )
    said = [Completion(problem.id, text, (), True) for text in texts]
    return worked_group.graded(problem, said, settings)


def tokens(table: pd.DataFrame) -> Styler:
    """The tokens of a completion as a table, quoted, since some are blank, and escaped."""
    quoted = table.round(3).assign(token=[repr(token) for token in table["token"]])
    numbers = quoted.select_dtypes("float").columns
    quoted[numbers] += 0.0  # a rounded -0.0 becomes 0.0
    return quoted.style.format(precision=3, escape="html")


def shown(group: pd.DataFrame) -> Styler:
    """A group of answers as a table, with whole completions, escaped as model output."""
    left = {"white-space": "pre-wrap", "text-align": "left"}
    table = group.style.format({"advantage": "{:+.2f}"}, precision=2, escape="html")
    return table.set_properties(subset=["completion"], **left)


def loss_mask(tokenizer: PreTrainedTokenizerFast, prompt: str, completion: str) -> pd.DataFrame:
    """The tokens of a fine-tuning example; the loss covers those of the completion and its end.

    label: the id of the token, which is predicted from the tokens before it, or -100, which
    PyTorch's cross-entropy ignores.
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
    rows: dict[str, float] = {}
    for _, pair in held_out.head(1).iterrows():
        chosen, rejected = float(pair["score_chosen"]), float(pair["score_rejected"])
        rows = {
            "score of the chosen answer": chosen,
            "score of the rejected answer": rejected,
            "difference": chosen - rejected,
            "P(chosen is better) = sigmoid(difference)": 1 / (1 + math.exp(rejected - chosen)),
            "loss = -log P": math.log1p(math.exp(rejected - chosen)),
            "loss if both scored alike": math.log(2),
        }
    return pd.DataFrame({"value": rows}).rename_axis("of the pair")


def one_question(samples: pd.DataFrame) -> pd.DataFrame:
    """The samples of the question with the most different fates: a filter's name, or "kept"."""
    fates = samples.assign(fate=samples["dropped"].replace("", "kept"))
    asked = fates.groupby(["problem_id", "language"])
    chosen = asked.get_group(asked["fate"].nunique().idxmax())
    return chosen.set_index("sample")[["fate", "text"]]
