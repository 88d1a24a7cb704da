"""Arms of the lab that learn from data made beforehand: SFT, RFT and DPO (DeepSeekMath 5.2).

Their questions are those of the arm of GRPO. SFT reads worked answers to them; RFT and DPO learn
from as many samples of the base as that arm draws from its own policy. An answer counts as right
with or without a tag, as in the arms that are paid for the answer alone.
"""

import random
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from r1repro.artifacts import Inputs, Progress
from r1repro.config import Config, lab
from r1repro.errors import R1ReproError
from r1repro.evaluation import checkpoints
from r1repro.rewards.rule_rewards import problems_of_rows
from r1repro.stages import samples, sft
from r1repro.stages.answer_pairs import paired
from r1repro.stages.models import load_tokenizer, load_trained, store
from r1repro.tasks import prompting, templates, worlds
from r1repro.tasks.problem import Problem
from r1repro.training import dpo

DATA = "offline_data"
"""The stage that makes the data."""


def data(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """Writes sft.parquet, rft.parquet and dpo.parquet, each for the method of its name.

    RFT's are the distinct right answers; DPO's pair each with the wrong answer to its question that
    is closest in length. Rows that hold a held-out question or its solution are left out; of a
    pair, only the right answer is searched for them. Raises R1ReproError if a method has nothing to
    learn from.
    """
    settings = lab.settings(config.stage.r1_zero, lab.arms()[lab.REFERENCE])
    asked = samples.as_many(settings, config.stage.base_rft.keep_all)
    problems = list(islice(worlds.of(config.task).train(config.seed), asked.questions))
    place, form = inputs["base"].folder / "model", checkpoints.form(config, "r1_zero")
    answers, _ = samples.draw(config, place, form, problems, asked, progress, folder)
    pairs = [
        samples.described(problem)
        | {"completion": chosen, "rejected": rejected, "rejected_finished": ended}
        for problem, (chosen, finished), (rejected, ended) in paired(answers, asked.keep_all)
        if finished
    ]
    right = samples.right(answers, asked.keep_all)
    for name, rows in {"sft": _worked(config, problems), "rft": right, "dpo": pairs}.items():
        kept, _ = samples.kept_apart(config, rows)
        if not kept:
            raise R1ReproError(
                f"there is nothing for {name.upper()} to learn from among the base's samples: "
                "raise stage.r1_zero.questions or stage.r1_zero.generations, or train the base "
                "for longer"
            )
        pd.DataFrame(kept).to_parquet(folder / f"{name}.parquet")


def _worked(config: Config, problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """Worked answers to the questions in the corpus's most careful style, which never gives up.

    A countdown that would need a long search has none.
    """
    rng, found = random.Random(f"worked-{config.seed}"), []
    for problem in problems:
        text = prompting.worked(rng, problem)
        if text is not None:
            answer = text.removeprefix(problem.prompt).lstrip("\n")
            found.append(samples.described(problem) | {"completion": answer})
    return found


def __getattr__(name: str) -> Any:
    """The functions of the stages, which conf/lab.yaml lists."""
    arm = lab.arms().get(lab.trained().get(name, ""))
    if arm is None or arm.offline is None:
        raise AttributeError(name)
    return partial(train, arm)


def train(arm: lab.Arm, config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """Writes model/, metrics.parquet and moved.json of an arm."""
    settings = lab.offline_settings(config.stage, arm)
    rows = pd.read_parquet(inputs[DATA].folder / f"{arm.offline}.parquet")
    rows = rows.tail(max(1, round(arm.share * len(rows))))
    if arm.offline != "dpo":
        sft.train(config, "r1_zero", inputs["base"], rows, settings, folder, progress)
        return
    place = inputs["base"].folder / "model"
    tokenizer, model = load_tokenizer(place), load_trained(place, config.engine, config.seed)
    reference = load_trained(place, config.engine, config.seed)
    form, pairs = checkpoints.form(config, "r1_zero"), []
    for problem, row in zip(problems_of_rows(rows), rows.itertuples(), strict=True):
        asked = templates.render(form, problem)
        prompt, chosen = sft.token_ids(tokenizer, asked, str(row.completion))
        _, rejected = sft.token_ids(tokenizer, asked, str(row.rejected))
        # An answer that was cut off has no end token.
        pairs.append(dpo.Pair(prompt, chosen, rejected if row.rejected_finished else rejected[:-1]))
    found = dpo.train(
        model, reference, tokenizer, pairs, settings, seed=config.seed, folder=folder,
        progress=progress, engine=config.engine,
    )  # fmt: skip
    store(model, tokenizer, place, folder, found, progress)
