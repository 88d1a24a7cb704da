"""What is fine-tuned on, and what a row of a data set becomes before it."""

from dataclasses import replace
from itertools import islice
from types import SimpleNamespace

import pandas as pd
from tokenizers.processors import TemplateProcessing

from r1repro.artifacts import Progress
from r1repro.config import compose
from r1repro.stages import sft
from r1repro.stages.rejection_sampling import general_rows
from r1repro.stages.samples import described
from r1repro.stages.sft import token_ids
from r1repro.tasks import worlds
from r1repro.tasks.problem import GENERAL
from r1repro.tasks.tokenizer import train as train_tokenizer


def test_a_tokenizer_that_opens_texts_does_so_once():
    tokenizer = train_tokenizer(["User: Compute 1+2. Assistant: "] * 3)
    plain = token_ids(tokenizer, "Compute 1+2.", "3")
    assert plain[1][-1] == tokenizer.eos_token_id
    opening = tokenizer.pad_token
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{opening} $A", special_tokens=[(opening, tokenizer.pad_token_id)]
    )
    prompt, said = token_ids(tokenizer, "Compute 1+2.", "3")
    assert prompt == [tokenizer.pad_token_id, *plain[0]] and said == plain[1]


def test_unfiltered_are_as_many_rows_of_all_samples_and_no_held_out_question(tmp_path, monkeypatch):
    config = compose(["scale=smoke"])
    world = worlds.of(config.task)
    problems = [*islice(world.train(0), 20), *world.test[:20]]
    drawn = [
        described(problem)
        | {"sample": i, "text": f"{problem.id}, {i}", "dropped": "x" if i else ""}
        for problem in problems
        for i in range(4)
    ]
    pd.DataFrame(drawn).to_parquet(tmp_path / "samples.parquet")
    passed = [row for row in drawn if not row["dropped"]][:12]
    general = general_rows(world, 4, seed=0)
    data = [
        described(p) | {"completion": row["text"]} for p, row in zip(problems, passed, strict=False)
    ]
    pd.DataFrame(data + general).to_parquet(tmp_path / "dataset.parquet")
    seen = []
    monkeypatch.setattr(sft, "train", lambda *given: seen.append(given))
    source = SimpleNamespace(folder=tmp_path)
    inputs = {"base": "the base", "rejection_sampling": source}
    for seed in (0, 0, 1):
        sft.dev3_unfiltered(replace(config, seed=seed), inputs, tmp_path, Progress(None))
    first, again, other = (given[3] for given in seen)
    assert seen[0][1:3] == ("dev3", "the base") and seen[0][4] == config.stage.dev3
    assert first.equals(again) and not first.equals(other)
    reasoning = first[~first.task.isin(GENERAL)]
    assert len(reasoning) == 12 and reasoning.completion.is_unique
    assert set(reasoning.completion) <= {row["text"] for row in drawn}
    assert not set(reasoning.completion) <= {row["text"] for row in passed}, "of all samples"
    assert not set(reasoning.problem_id) & world.held_out
    assert first.completion.tolist()[12:] == [row["completion"] for row in general]
