"""The learned process model: its pairs by hand, the stage, and that it pays the steps."""

import dataclasses
from itertools import islice
from types import SimpleNamespace

import pandas as pd
import pytest

from r1repro import config as configuration
from r1repro.artifacts import Progress
from r1repro.config import ModelConfig, lab
from r1repro.rewards.steps import step_prefixes
from r1repro.runner.graph import graph
from r1repro.stages import process_model, rl
from r1repro.stages.base_model import from_random_weights
from r1repro.stages.models import save_model
from r1repro.tasks import corpus, worlds
from r1repro.tasks.tokenizer import train as train_tokenizer
from r1repro.training import rl as grpo
from tests.laptop import laptop

RIGHT = "What is 5 + 2 - 3?\n5+2=7\nso\n7-3=4\n<answer>4</answer>"
WRONG = "What is 5 + 2 - 3?\n5+2=7\n7-3=5\n5+0=5\n<answer>5</answer>"


def _pairs(chosen=RIGHT, rejected=WRONG):
    row = {
        "problem_id": "a", "chosen": chosen, "rejected": rejected, "chosen_finished": True,
        "rejected_finished": True, "split": "train", "replayed": False,
    }  # fmt: skip
    return pd.DataFrame([row])


def test_a_beginning_ends_with_its_step():
    asked = "What is 5 + 2 - 3?\n"
    assert step_prefixes(RIGHT) == [f"{asked}5+2=7", f"{asked}5+2=7\nso\n7-3=4"]
    assert step_prefixes("no step\n<answer>1+1=2</answer>") == []


def test_steps_of_one_number_are_paired_where_the_beginnings_differ():
    found = process_model.by_step(_pairs())
    assert found["step"].tolist() == [2], (
        "the first steps are equal, and the right one has no third"
    )
    assert found["chosen"].tolist() == [step_prefixes(RIGHT)[1]]
    assert found["rejected"].tolist() == ["What is 5 + 2 - 3?\n5+2=7\n7-3=5"]
    assert not found[["chosen_finished", "rejected_finished"]].any(axis=None)
    without = _pairs("a\n7", "a\n8")
    assert process_model.by_step(without).empty
    assert process_model.by_step(without, any_text=True)["chosen"].tolist() == ["a\n7"]


@pytest.fixture
def base(tmp_path):
    config = configuration.compose(["scale=smoke"])
    stages = dataclasses.replace(
        config.stage,
        r1_zero=dataclasses.replace(
            config.stage.r1_zero, questions=2, generations=2, max_completion_tokens=6
        ),
        reward_model=dataclasses.replace(config.stage.reward_model, questions=10, batch_size=4),
    )
    config = dataclasses.replace(config, stage=stages)
    texts = list(islice(corpus.documents(worlds.of(config.task), 0), 300))
    tokenizer = train_tokenizer(texts)
    model = from_random_weights(laptop(ModelConfig, layers=1), tokenizer)
    save_model(model, tokenizer, tmp_path / "base" / "model")
    return config, {"base": SimpleNamespace(folder=tmp_path / "base")}, tmp_path


def test_the_stage_and_the_arm_that_it_pays(base, monkeypatch):
    config, inputs, place = base
    folder, trained = place / lab.PROCESS, place / "arm"
    folder.mkdir()
    trained.mkdir()
    process_model.run(config, inputs, folder, Progress(folder))
    pairs = pd.read_parquet(folder / "pairs.parquet")
    assert {"step", "score_chosen", "score_rejected"} <= set(pairs) and len(pairs)
    read = []
    learned = process_model.judge(config, folder)
    asked = [("q", "1+1=2"), ("q", "1+1=2\n2+1=4"), ("q", "1+1=2")]
    rewards = learned(asked)
    assert rewards[0] == rewards[2] and all(0 < reward < 1 for reward in rewards)

    def watched(*given):
        return lambda asked: read.extend(asked) or learned(asked)

    monkeypatch.setattr(process_model, "judge", watched)
    monkeypatch.setattr(
        "r1repro.training.steps.step_prefixes", lambda text: [text]
    )  # the tiny policy writes no step
    monkeypatch.setattr("r1repro.training.steps.step_rewards", lambda text: [(0, 1.0)])
    given = inputs | {lab.PROCESS: SimpleNamespace(folder=folder)}
    rl.arm("process_learned", config, given, trained, Progress(trained))
    steps = len(pd.read_parquet(trained / "metrics.parquet"))
    assert steps and len(read) == steps * 4 and all(question for question, _ in read)


def test_the_checker_pays_where_no_judge_is_given(base, monkeypatch):
    config, inputs, place = base
    seen = []
    monkeypatch.setattr(grpo, "train", lambda *a, **more: seen.append(more) or ([], []))
    monkeypatch.setattr(rl, "store", lambda *a: None)
    rl.arm("process", config, inputs, place, Progress(None))
    assert "judge" not in seen[0]


def test_only_the_arm_by_the_learned_model_waits_for_it():
    found = graph(configuration.compose(["lab=advantages"]))
    assert found["lab_process_learned"].inputs == ("base", lab.PROCESS)
    assert found["lab_process"].inputs == ("base",)
    assert lab.PROCESS not in graph(configuration.compose(["lab=failures"]))
    order = list(found)
    assert order.index(lab.PROCESS) < order.index("lab_process_learned")
