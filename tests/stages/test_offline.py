"""The lab's data made beforehand, and what SFT, RFT and DPO are given of them."""

import dataclasses
import json
from itertools import islice
from types import SimpleNamespace

import pandas as pd
import pytest

from r1repro import config as configuration
from r1repro.artifacts import Progress
from r1repro.config import ModelConfig, lab
from r1repro.errors import R1ReproError
from r1repro.rewards.correctness import is_correct
from r1repro.rewards.rule_rewards import problems_of_rows
from r1repro.stages import offline, samples
from r1repro.stages.base_model import from_random_weights
from r1repro.stages.models import load_tokenizer, save_model
from r1repro.tasks import corpus, worlds
from r1repro.tasks.problem import Completion
from r1repro.tasks.tokenizer import train as train_tokenizer
from r1repro.training import dpo
from tests.laptop import laptop


@pytest.fixture
def base(tmp_path):
    config = configuration.compose(["scale=smoke"])
    kept = dataclasses.replace(config.stage.base_rft, keep_all=False)
    config = dataclasses.replace(config, stage=dataclasses.replace(config.stage, base_rft=kept))
    texts = list(islice(corpus.documents(worlds.of(config.task), 0), 300))
    tokenizer = train_tokenizer(texts)
    model = from_random_weights(laptop(ModelConfig, layers=1), tokenizer)
    save_model(model, tokenizer, tmp_path / "base" / "model")
    return config, {"base": SimpleNamespace(folder=tmp_path / "base")}


@pytest.fixture
def made(base, tmp_path, monkeypatch):
    """The data of a base whose answers are, in turn: right, wrong and cut off, right."""
    config, inputs = base
    drawn = []

    def draw(config, place, form, problems, settings, progress, folder):
        drawn.append((problems, settings))
        answers = [
            (problem, i, Completion(problem.id, text, (), text != "wrong"))
            for problem in problems
            for i, text in enumerate((worked(problem), "wrong", worked(problem)))
        ]
        return answers, 0

    def worked(problem):
        found = offline._worked(config, [problem])
        return found[0]["completion"] if found else "a long search, so none"

    monkeypatch.setattr(samples, "draw", draw)
    folder = tmp_path / "data"
    folder.mkdir()
    offline.data(config, inputs, folder, Progress(None))
    return config, inputs | {offline.DATA: SimpleNamespace(folder=folder)}, drawn[0]


def rows_of(made, method):
    return pd.read_parquet(made[1][offline.DATA].folder / f"{method}.parquet")


def test_the_questions_and_samples_are_those_of_grpo(made):
    config, _, (problems, asked) = made
    grpo = lab.settings(config.stage.r1_zero, lab.arms()["grpo"])
    stream = worlds.of(config.task).train(config.seed)
    assert list(problems) == list(islice(stream, grpo.batches * grpo.questions))
    assert (asked.samples, asked.temperature) == (grpo.generations, grpo.temperature)
    worked = set(rows_of(made, "sft").problem_id)
    without = {problem.task for problem in problems if problem.id not in worked}
    assert without <= {"countdown"} and len(worked) > len(problems) / 2


def test_each_method_has_the_answers_that_it_learns_from(made):
    for method in ("sft", "rft"):
        rows = rows_of(made, method)
        assert len(rows) == len(set(rows.problem_id)), "a right answer drawn twice counts once"
        right = zip(problems_of_rows(rows), rows.completion, strict=True)
        assert all(is_correct(problem, text) for problem, text in right)
        prompts = zip(rows.prompt, rows.completion, strict=True)
        assert not any(prompt in text for prompt, text in prompts)
    pairs = rows_of(made, "dpo")
    assert set(pairs.rejected) == {"wrong"} and not pairs.rejected_finished.any()
    assert set(pairs.completion) == set(rows_of(made, "rft").completion)


def test_every_arm_trains_from_the_base(made, tmp_path, monkeypatch):
    config, inputs, _ = made
    given = []
    train = dpo.train
    monkeypatch.setattr(dpo, "train", lambda *a, **k: given.append((*a, k)) or train(*a, **k))
    for name in ("sft", "rft", "dpo"):
        folder = tmp_path / name
        folder.mkdir()
        getattr(offline, lab.stage(name))(config, inputs, folder, Progress(folder))
        assert json.loads((folder / "moved.json").read_text())["weights"] > 0
        assert (folder / "model" / "model.safetensors").is_file()
        assert pd.read_parquet(folder / "metrics.parquet").loss.notna().all()
    [(_, _, _, pairs, settings, _)] = given
    end = load_tokenizer(inputs["base"].folder / "model").eos_token_id
    assert all(pair.chosen[-1] == end and end not in pair.rejected for pair in pairs)
    assert settings.epochs == 1 and settings.lr_rest == config.stage.r1_zero.lr_rest
    with pytest.raises(AttributeError):
        offline.lab_grpo  # noqa: B018


def test_a_share_of_the_data_is_its_last_part(made, tmp_path, monkeypatch):
    config, inputs, _ = made
    given = []
    monkeypatch.setattr(offline.sft, "train", lambda *args: given.append(args[3]))
    for name in ("sft", "cold"):
        getattr(offline, lab.stage(name))(config, inputs, tmp_path, Progress(None))
    whole, tenth = given
    assert len(tenth) == max(1, round(len(whole) / 10))
    assert tenth.equals(whole.tail(len(tenth)))


def test_it_says_so_where_no_answer_is_right(base, tmp_path, monkeypatch):
    config, inputs = base

    def draw(config, place, form, problems, *rest):
        return [(problem, 0, Completion(problem.id, "", (), True)) for problem in problems], 0

    monkeypatch.setattr(samples, "draw", draw)
    with pytest.raises(
        R1ReproError, match="nothing for RFT to learn from .* raise stage.r1_zero.questions"
    ):
        offline.data(config, inputs, tmp_path, Progress(None))
