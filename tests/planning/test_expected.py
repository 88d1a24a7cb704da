"""What a stage is expected to do, by the results that stand and without any."""

import pandas as pd
import pytest

from r1repro import artifacts
from r1repro.planning.expected import (
    ALONE,
    BASE,
    EXAMPLE,
    GENERAL_ANSWER,
    KEPT,
    TAUGHT,
    expected,
)
from r1repro.planning.work import work
from r1repro.runner.graph import find
from r1repro.runner.workspace import Workspace
from r1repro.stages.base_model import from_random_weights
from r1repro.stages.models import save_model
from r1repro.tasks import worlds
from r1repro.tasks.tokenizer import train as train_tokenizer


@pytest.fixture
def publish(runs):
    def made(config, name, write):
        key = Workspace(config).keys[name]
        folder = artifacts.work_folder(runs, name, key)
        folder.mkdir(parents=True)
        write(folder)
        artifacts.publish(folder, runs, name, key, {"seconds": 1.0})

    return made


def _expected(config, name):
    stage = find(name, config)
    return expected(config, stage, work(config, stage))


def test_without_results_it_is_what_our_runs_had_within_the_caps(compose):
    words = ["max_completion_tokens=100", "keep_all=false"]
    config = compose(
        "evaluation.max_completion_tokens=100", "stage.qwen_rl.max_completion_tokens=30",
        *(f"stage.cold_start_data.{word}" for word in words), "stage.dev2.max_completion_tokens=99",
        "evaluation.general_items=110",
    )  # fmt: skip
    for name, length in {
        "cold_start_data": ALONE, "dev2": TAUGHT, "qwen_rl": 30,
        "llama_distilled_rl": min(TAUGHT, config.stage.llama_distilled_rl.max_completion_tokens),
    }.items():  # fmt: skip
        found = _expected(config, name)
        assert found.length == length and found.assumed, name
    # 40 problems x 4 or 2 samples, beside general items x 2
    items = 2 * config.evaluation.general_items
    assert items < 2 * len(worlds.of(config.task).general_test)
    for name, length, samples in (
        ("evaluate_base", BASE, 4), ("evaluate_r1_zero", ALONE, 4), ("evaluate_dev1", TAUGHT, 2),
        ("evaluate_qwen_rl_equal_flops", ALONE, 2),
    ):  # fmt: skip
        found, asked = _expected(config, name), 40 * samples
        whole = asked * length + items * GENERAL_ANSWER
        assert found.length == pytest.approx(whole / (asked + items)) and found.assumed, name
    dev1 = _expected(config, "dev1")
    assert dev1.rows == KEPT * work(config, find("dev1", config)).learned and dev1.assumed
    assert dev1.row == EXAMPLE
    # Where nothing is dropped nothing is taken off; what samples nothing assumes nothing.
    assert _expected(config, "dev3").rows == work(config, find("dev3", config)).learned
    assert not _expected(config, "base").assumed and not _expected(config, "comparison").assumed


def test_general_items_are_counted_as_often_as_they_are_asked(compose):
    """The held-out curve asks none, and greedy answers are sampled once."""
    settings = "ablation.greedy=true", "evaluation.curve_samples=1", "evaluation.problems=10"
    config = compose(*settings, "evaluation.general_items=100")
    assert _expected(config, "r1_zero_curve").length == BASE
    longest = min(TAUGHT, config.evaluation.max_completion_tokens)
    whole = 10 * longest + 100 * GENERAL_ANSWER
    assert _expected(config, "evaluate_r1_greedy").length == pytest.approx(whole / 110)


def test_a_data_set_that_stands_is_counted_in_rows_and_tokens(compose, publish):
    config = compose()
    tokenizer = train_tokenizer(["one two three"])

    def base(folder):
        save_model(from_random_weights(config.model, tokenizer), tokenizer, folder / "model")

    publish(config, "base", base)
    texts = ["1" * 3, "1" * 9]  # three digits are a token
    data = pd.DataFrame({"completion": texts})
    publish(config, "cold_start_data", lambda f: data.to_parquet(f / "dataset.parquet"))
    found = _expected(config, "dev1")
    assert (found.rows, found.row, found.assumed) == (2 * config.stage.dev1.epochs, 2.0, False)


def test_answers_that_were_measured_tell_how_long_the_next_are(compose, publish):
    config = compose("stage.dev2.max_completion_tokens=20")
    tasks = ["arithmetic", "countdown", "fact"]
    rows = pd.DataFrame({"task": tasks, "tokens": [10, 40, 2]})
    for name in ("evaluate_base", "evaluate_dev1", "evaluate_dev2"):
        publish(config, name, lambda f: rows.to_parquet(f / "evaluation.parquet"))
    steps = pd.DataFrame({"length": [36.0, 24.0]})
    publish(config, "r1_zero", lambda f: steps.to_parquet(f / "metrics.parquet"))
    dev2, judge = _expected(config, "dev2"), _expected(config, "reward_model")
    assert (dev2.length, dev2.row, dev2.assumed) == (15.0, 15.0, False)
    assert judge.length == 2.0
    for name in ("cold_start_data", "evaluate_r1_zero"):  # by the RL that made the policy
        found = _expected(config, name)
        assert GENERAL_ANSWER < found.length <= 30.0 and not found.assumed
    assert _expected(config, "cold_start_data").length == 30.0
    # RL changes what a base says: its own answers are no measure.
    assert _expected(config, "r1_zero").assumed
