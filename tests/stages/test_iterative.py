"""Stage iterative_grpo: its pairs, what pays in each round, and the whole chain at tiny scale."""

import dataclasses
from itertools import islice
from types import SimpleNamespace

import pandas as pd
import pytest

from r1repro import config as configuration
from r1repro.artifacts import Progress
from r1repro.config import ModelConfig, lab
from r1repro.rewards import rule_rewards
from r1repro.stages import iterative
from r1repro.stages.base_model import from_random_weights
from r1repro.stages.models import load_reward_model, save_model
from r1repro.tasks import corpus, worlds
from r1repro.tasks.tokenizer import train as train_tokenizer
from r1repro.training import rl
from r1repro.training.rl_metrics import ranked
from tests.laptop import laptop


def test_a_round_is_paid_by_the_reward_model_alone():
    start = configuration.compose().stage.r1_zero
    found = lab.of_round(start)
    paid = {name: weight for name, weight in rl.weights(found).items() if weight}
    assert paid == {"preference": 1.0} and rl.rule_of("accuracy", found) is rule_rewards.accuracy
    assert (found.steps, found.reference_sync_steps) == (20, 20) and found.beta == start.beta
    assert lab.of_round(dataclasses.replace(start, steps=6)).steps == 3


def test_how_often_the_right_one_of_two_is_paid_more():
    rows = pd.DataFrame(
        {
            "problem_id": ["a"] * 3 + ["b"] * 2 + ["c"] * 2,
            "correct": [True, False, False, True, False, True, True],
            "reward_preference": [0.5, 0.4, 0.5, 0.1, 0.9, 0.2, 0.3],
        }
    )
    assert ranked(rows) == pytest.approx((1 + 0.5 + 0) / 3)
    assert ranked(rows[rows.problem_id == "c"]) is None, "no wrong answer"
    assert ranked(rows.assign(reward_preference=0.0)) is None, "no learned reward"


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
    evaluation = dataclasses.replace(config.evaluation, problems=2, max_completion_tokens=6)
    config = dataclasses.replace(config, stage=stages, evaluation=evaluation)
    texts = list(islice(corpus.documents(worlds.of(config.task), 0), 300))
    tokenizer = train_tokenizer(texts)
    model = from_random_weights(laptop(ModelConfig, layers=1), tokenizer)
    save_model(model, tokenizer, tmp_path / "base" / "model")
    return config, {"base": SimpleNamespace(folder=tmp_path / "base")}, tmp_path / "made"


def test_the_chain(base, monkeypatch):
    config, inputs, folder = base
    folder.mkdir()
    paid, learned = [], iterative.learned
    monkeypatch.setattr(
        iterative, "learned", lambda c, judge: paid.append(judge) or learned(c, judge)
    )

    def killed(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(iterative, "_tables", killed)
        iterative.run(config, inputs, folder, Progress(None))
    assert [judge.name for judge in paid] == ["reward", "reward", "reward_refreshed"]
    for name in ("reward", "reward_refreshed"):
        weights = load_reward_model(folder / name / "model").score.weight
        assert weights.abs().sum() > 0
    iterative.run(config, inputs, folder, Progress(None))
    assert len(paid) == 3, "what was done is not done again"
    tables = {path.stem: pd.read_parquet(path) for path in folder.iterdir()}
    assert set(tables) == {"rounds", "samples", "pairs", "validation"}, "no model is kept"
    steps = tables["rounds"].groupby("arm").step.apply(list).to_dict()
    assert steps == {"first": [1, 2], "kept": [3, 4], "refreshed": [3, 4]}
    assert tables["rounds"].reward.equals(tables["rounds"].reward_preference)
    assert set(tables["validation"].arm) == set(iterative.ROUNDS) == set(tables["samples"].arm)
    pairs = tables["pairs"]
    new = pairs[(pairs.model == "reward_refreshed") & ~pairs.replayed]
    again, old = pairs[pairs.replayed], pairs[pairs.model == "reward"]
    assert len(again) == round((new.split == "train").sum() / 9) == 1
    assert set(again.chosen) <= set(old[old.split == "train"].chosen)
    assert not set(new.problem_id[new.split == "train"]) & set(new.problem_id[new.split != "train"])
    # The second judge starts as the first: its scores before are the first one's.
    both = again.merge(old, on=["chosen", "rejected"])
    assert both.before_chosen_x.tolist() == pytest.approx(both.score_chosen_y.tolist(), abs=1e-4)
    assert (new.before_chosen != new.score_chosen).all()
