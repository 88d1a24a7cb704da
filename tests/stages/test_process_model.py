"""The learned process model: its pairs by hand, the stage, and that it pays the steps."""

import dataclasses
from itertools import islice
from types import SimpleNamespace

import pandas as pd
import pytest

from r1repro import config as configuration
from r1repro.artifacts import Progress
from r1repro.config import ModelConfig, lab
from r1repro.rewards.preference import Preference
from r1repro.rewards.steps import Step
from r1repro.runner.graph import graph
from r1repro.stages import process_model, rl
from r1repro.stages.base_model import from_random_weights
from r1repro.stages.models import load_reward_model, load_tokenizer, save_model
from r1repro.tasks import corpus, worlds
from r1repro.tasks.tokenizer import train as train_tokenizer
from r1repro.training import rl as grpo
from r1repro.training.trl_adapter import PackedGRPOTrainer
from tests.laptop import laptop

RIGHT = "What is 5 + 2 - 3?\n<think>5+2=7\nso\n7-3=4</think><answer>4</answer>"
WRONG = "What is 5 + 2 - 3?\n5+2=7\n7-3=5\n5+0=5\n<answer>5</answer>"


def _pairs(chosen=RIGHT, rejected=WRONG):
    row = {
        "problem_id": "a", "chosen": chosen, "rejected": rejected, "chosen_finished": True,
        "rejected_finished": True, "split": "train", "replayed": False,
    }  # fmt: skip
    return pd.DataFrame([row])


def test_steps_of_one_number_are_paired_where_the_beginnings_differ():
    found = process_model.by_step(_pairs())
    assert found["step"].tolist() == [2], (
        "the first steps are equal, and the right one has no third"
    )
    assert found["chosen"].tolist() == ["What is 5 + 2 - 3?\n5+2=7\nso\n7-3=4"]
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
    learned = process_model.judge(config, folder)
    rewards, tokens = learned([("q", "1+1=2"), ("q", "1+1=2\n2+1=4"), ("q", "1+1=2")])
    assert rewards[0] == rewards[2] and all(0 < reward < 1 for reward in rewards) and tokens > 0
    assert learned([]) == ([], 0)
    judge = Preference(load_reward_model(folder / "model"), load_tokenizer(folder / "model"))
    texts = ["q\n1+1=2", "q\n1+1=2\n2+1=4", "q\n1+1=3", "q\n1+1=2"]
    alone = judge.scores(texts, [False] * 4)
    together, read = judge.scores_of_beginnings(texts)
    assert together == pytest.approx(alone, abs=1e-6)
    each = [len(judge.tokenizer.encode(text)) for text in texts]
    assert read == each[1] + each[2], "what begins another text is not read again"
    asked, batches = [], []

    def watched(*given):
        return lambda given: asked.extend(given) or ([i % 2 for i in range(len(given))], 1)

    def kept(self, *given):
        batches.append(whole(self, *given))
        return batches[-1]

    whole = PackedGRPOTrainer._generate_and_score_completions
    monkeypatch.setattr(PackedGRPOTrainer, "_generate_and_score_completions", kept)
    monkeypatch.setattr(process_model, "judge", watched)
    # the tiny policy writes no step and no right answer
    monkeypatch.setattr(
        "r1repro.training.completion_steps.read_steps", lambda text: [Step(0, 0.0, text)]
    )
    given = inputs | {lab.PROCESS: SimpleNamespace(folder=folder)}
    rl.arm("process_learned", config, given, trained, Progress(trained))
    rows = pd.read_parquet(trained / "metrics.parquet")
    assert len(asked) == 4 * len(rows) and (rows["seconds_reference"] > 0).all()
    said = pd.read_parquet(trained / "completions.parquet")
    assert set(zip(said["prompt"], said["text"], strict=True)) <= set(asked)
    assert all(batch["advantages"].abs().sum() > 0 for batch in batches), "the judge's alone"


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
