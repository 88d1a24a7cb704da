"""What stages do and need, counted before they run."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from r1repro import artifacts
from r1repro.config import compose as composed
from r1repro.planning import memory, plan
from r1repro.planning.stage_memory import needs
from r1repro.planning.work import TRACE, work
from r1repro.runner.graph import find
from r1repro.runner.workspace import Workspace
from r1repro.training.shape import read


def test_examples_are_counted_where_the_data_stands_and_bounded_before(compose, runs):
    config = compose()
    before = work(config, find("dev1", config))
    most = config.stage.cold_start_data.questions * config.stage.cold_start_data.kept
    assert before.said.startswith(f"at most {most:,} examples") and before.learned == most

    key = Workspace(config).keys["cold_start_data"]
    folder = artifacts.work_folder(runs, "cold_start_data", key)
    folder.mkdir(parents=True)
    pd.DataFrame({"completion": ["a"] * 5}).to_parquet(folder / "dataset.parquet")
    artifacts.publish(folder, runs, "cold_start_data", key, {"seconds": 1.0})
    found = work(config, find("dev1", config))
    assert found.said.startswith("5 examples") and found.learned == 5


def test_a_paper_sized_step_over_processes():
    config = composed(["scale=gpu", "model=qwen2.5-1.5b", "launch.processes=4"])
    settings = replace(config.stage.r1_zero, steps_per_generation=2, micro_batch_tokens=4_000)
    config = replace(config, stage=replace(config.stage, r1_zero=settings))
    counted = work(config, find("r1_zero", config))
    assert "sampled for 2 steps at once" in counted.said
    assert "(2 of the longest rows), 4 processes; 400 steps = 102,400 completions" in counted.said
    assert counted.completions == counted.learned == 102_400


def test_a_cap_that_rises_is_counted_step_by_step_and_held_at_its_largest():
    rise = ["stage.r1_zero.raised_at=100", "stage.r1_zero.raised_cap=2048"]
    words = ["scale=gpu", "model=qwen2.5-1.5b"]
    flat, raised = composed(words), composed([*words, *rise])
    stage, cap = find("r1_zero", flat), flat.stage.r1_zero.max_completion_tokens
    assert (flat.stage.r1_zero.steps, cap) == (400, 1_024)
    counted, before = work(raised, stage), work(flat, stage)
    assert counted.cap == counted.longest == 2_048 and before.cap == 1_024 and before.below == 0
    # A quarter of the steps at half of the cap.
    assert counted.cap - counted.below == 0.25 * 1_024 + 0.75 * 2_048
    assert "of at most 1,024 tokens, 2,048 after 100 steps" in counted.said
    always = composed([*words, "stage.r1_zero.max_completion_tokens=2048"])
    assert needs(raised, stage) == needs(always, stage) != needs(flat, stage)
    never = composed([*words, "stage.r1_zero.raised_at=400", rise[1]])
    assert work(never, stage) == before and needs(never, stage) == needs(flat, stage)
    sampled, trained = zip(*map(_tokens, (raised, flat)), strict=True)
    more = 300 * flat.stage.r1_zero.questions * flat.stage.r1_zero.generations * 1_024
    assert sampled[0] - sampled[1] == trained[0] - trained[1] == more


@pytest.mark.parametrize(
    "words",
    [["scale=laptop"], ["scale=pocket", "model=qwen2.5-coder-0.5b", "task=word_problems_en"]],
)
def test_fine_tuning_on_as_many_samples_as_rl_draws_is_counted(words):
    config = composed([*words, "ablation.base_rft=true"])
    stage, rl = find("base_rft", config), config.stage.r1_zero
    draws = rl.steps * rl.questions * rl.generations
    assert work(config, stage).learned == draws * config.stage.base_rft.epochs
    assert work(config, find("base_rft_data", config)).completions == draws
    assert work(config, stage).longest == rl.max_completion_tokens
    assert needs(config, stage).peak < 24 * 2**30


def _tokens(config):
    """Tokens sampled and trained on up to R1-Zero, as the plan has them."""
    told = "\n".join(plan.plan(config, until="r1_zero", probed=False))
    found = re.search(r"([\d,]+) sampled, ([\d,]+) trained", told)
    return [int(figure.replace(",", "")) for figure in found.groups()]


def test_traces_of_a_stronger_teacher_are_counted_as_many_as_are_taken():
    words = ["scale=gpu", "model=qwen2.5-1.5b", "student.traces=someone/traces"]
    config = composed([*words, "student.traces_rows=700"])
    distilled, dev3 = (work(config, find(n, config)) for n in ("qwen_distilled", "dev3"))
    assert distilled.said.startswith("at most 700 examples of someone/traces x 2 epochs")
    assert distilled.learned == 1_400 and distilled.longest == TRACE
    assert "of rejection_sampling" in dev3.said and dev3.longest == 1_024


def test_the_preference_reward_model_is_held_beside_the_policy(compose):
    config = compose()
    policy, judged = (needs(config, find(name, config)) for name in ("dev2", "r1"))
    counts = memory.count(read(config.model))
    assert judged.reference - policy.reference == 4 * counts.total


def test_greedy_answers_are_counted_once(compose):
    config = compose("ablation.greedy=true")
    greedy, sampled = (
        work(config, find(f"evaluate_{name}", config)) for name in ("r1_greedy", "r1")
    )
    assert greedy.completions == greedy.prompts == sampled.prompts < sampled.completions
