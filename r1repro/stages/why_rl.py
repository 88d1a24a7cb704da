"""Stage why_rl: what SFT, RFT and GRPO on one side of a pair of questions do to the other side.

Every arm starts from the base and learns from the same questions. SFT reads a right worked answer
to each; RFT and GRPO learn from the same samples of the base, RFT from the right ones alone, GRPO
from all, with the sign of their advantage. Then SFT alone on sentences and questions with "not"
(tasks/negation_pairs.py), each form by itself: on the negated side, and on both.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from r1repro.artifacts import Inputs, Progress
from r1repro.config import Config, ObjectiveConfig, RLConfig
from r1repro.evaluation import checkpoints
from r1repro.stages.models import load_tokenizer, load_trained
from r1repro.stages.sft import token_ids
from r1repro.tasks import negation_pairs, sign_pairs, templates, worlds
from r1repro.tasks.problem import Problem
from r1repro.tasks.sign_pairs import SignPair
from r1repro.training import rl
from r1repro.training.logprobs import token_logps
from r1repro.training.sft import fine_tune

UPDATES = 12
NEVER = 1_000_000
ARMS = ("SFT", "RFT", "GRPO")
NEGATED, BOTH = "SFT on the side with “not”", "SFT on both"


def run(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """Writes logps.parquet and negations.parquet: every answer's log-probability by pair and arm.

    The arm "base" is before training; `form` is that of tasks/negation_pairs.py.
    """
    place = inputs["base"].folder / "model"
    tokenizer, template = load_tokenizer(place), checkpoints.form(config, "r1_zero")
    pairs = sign_pairs.sample(worlds.of(config.task), UPDATES * config.stage.r1_zero.questions)
    forms = (negation_pairs.LIKING, negation_pairs.KIND)
    tables, negated, parts = [], [], 1 + len(ARMS) + len(forms)
    for done, arm in enumerate(("base", *ARMS), start=1):
        model = load_trained(place, config.engine, config.seed)
        if arm == "SFT":
            examples = [(pair.asked, pair.right) for pair in pairs]
            _fine_tune(config, model, tokenizer, template, examples, folder / arm, 1)
        elif arm != "base":
            rl.train(
                model, tokenizer, [pair.asked for pair in pairs], _rl(config.stage.r1_zero, arm),
                template=template, seed=config.seed, folder=folder / arm, progress=Progress(None),
                engine=config.engine,
            )  # fmt: skip
        tables.append(measured(model, tokenizer, template, pairs).assign(arm=arm))
        # Only what is measured is the result; its checkpoints would be stored with it.
        shutil.rmtree(folder / arm, ignore_errors=True)
        progress.update(done, parts)
    pd.concat(tables, ignore_index=True).to_parquet(folder / "logps.parquet")
    for done, form in enumerate(forms, start=2 + len(ARMS)):
        own = [pair for pair in negation_pairs.sample() if pair.asked.task == form]
        one = [(pair.asked, pair.right) for pair in own]
        both = one + [(pair.twin, pair.twin_right) for pair in own]
        for arm, shown in {"base": [], NEGATED: one, BOTH: both}.items():
            model = load_trained(place, config.engine, config.seed)
            # One for each arm: an interrupted training leaves a checkpoint to resume from.
            training = folder / f"{form}-{len(shown)}"
            if shown:
                _fine_tune(config, model, tokenizer, template, shown, training, 2)
            rows = measured(model, tokenizer, template, own, _replies)
            negated.append(rows.assign(arm=arm, form=form))
            shutil.rmtree(training, ignore_errors=True)
        progress.update(done, parts)
    pd.concat(negated, ignore_index=True).to_parquet(folder / "negations.parquet")


def _rl(settings: RLConfig, arm: str) -> RLConfig:
    """One generation of all questions, in UPDATES updates; the KL term is left out.

    The answer counts with or without a tag, since the base hardly writes any.
    """
    return replace(
        settings, steps=UPDATES, steps_per_generation=UPDATES, beta=0.0, format_of_right=False,
        format_weight=0.0, save_every=NEVER, snapshot_every=0,
        objective=ObjectiveConfig(advantage="reward" if arm == "RFT" else "group"),
    )  # fmt: skip


def _fine_tune(
    config: Config,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    template: str,
    shown: Sequence[tuple[Problem, str]],
    folder: Path,
    epochs: int,
) -> None:
    """SFT on `shown`, questions with answers."""
    settings = replace(
        config.stage.dev1, epochs=epochs, batch_size=config.stage.r1_zero.questions,
        save_every=NEVER, log_every=1,
    )  # fmt: skip
    examples = [
        token_ids(tokenizer, templates.render(template, problem), answer)
        for problem, answer in shown
    ]
    fine_tune(
        model, tokenizer, examples, settings, seed=config.seed, folder=folder,
        progress=Progress(None), engine=config.engine,
    )  # fmt: skip


def _asked(pair: SignPair) -> Iterator[tuple[str, Problem, str]]:
    """right, wrong, guess: to the question that is trained on; twin_right: the right answer to its
    twin, which is not; crossed: the question's right answer after the twin, where it is wrong."""
    yield "right", pair.asked, pair.right
    yield "wrong", pair.asked, pair.wrong
    yield "guess", pair.asked, pair.guess
    yield "crossed", pair.twin, pair.right
    yield "twin_right", pair.twin, pair.twin_right


def _replies(pair: SignPair) -> Iterator[tuple[str, Problem, str]]:
    """The shown and the other word with "not", without it, and after a greeting."""
    for name, word in (("shown", pair.right), ("other", pair.wrong)):
        yield name, pair.asked, word
        yield f"{name}, without", pair.twin, word
        yield f"{name}, greeting", negation_pairs.greeting(pair), word


def measured(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    template: str,
    pairs: Sequence[SignPair],
    asked: Callable[[SignPair], Iterable[tuple[str, Problem, str]]] = _asked,
) -> pd.DataFrame:
    """Log-probabilities of answers to each pair, in nats a whole answer.

    asked: (name, question, answer) of a pair.
    """
    rows = [(number, *one) for number, pair in enumerate(pairs) for one in asked(pair)]
    ids = [
        token_ids(tokenizer, templates.render(template, problem), text)
        for _, _, problem, text in rows
    ]
    found = []
    for start in range(0, len(ids), 128):
        found += _logps(model, tokenizer.pad_token_id, ids[start : start + 128])
    named = [(number, name, problem.language) for number, name, problem, _ in rows]
    return pd.DataFrame(named, columns=["pair", "answer", "language"]).assign(logp=found)


@torch.no_grad()
def _logps(
    model: PreTrainedModel, pad: int, ids: Sequence[tuple[list[int], list[int]]]
) -> list[float]:
    """Summed log-probability of each completion after its prompt."""
    model.eval()

    def padded(rows: list[list[int]], side: str, value: int) -> torch.Tensor:
        tensors = [torch.tensor(row, device=model.device) for row in rows]
        return pad_sequence(tensors, True, value, padding_side=side)

    prompts, completions = ([*part] for part in zip(*ids, strict=True))
    whole = torch.cat([padded(prompts, "left", pad), padded(completions, "right", pad)], 1)
    real = [[[1] * len(row) for row in rows] for rows in (prompts, completions)]
    mask = torch.cat([padded(real[0], "left", 0), padded(real[1], "right", 0)], 1)
    width = max(map(len, completions))
    head = model.get_output_embeddings()
    logps, _, _ = token_logps(model.base_model, head, whole, mask, width, 1.0, False)
    return logps.sum(1).tolist()
