"""Keys: what changes them, and what does not."""

import re

import pytest

from r1repro.errors import R1ReproError
from r1repro.runner.graph import find
from r1repro.runner.workspace import Workspace


def test_keys_follow_what_matters(compose, monkeypatch):
    plain = Workspace(compose()).keys
    for free in (
        "stage.base.save_every=40",
        "stage.r1_zero.save_every=1",
        "engine.report_to=wandb",
    ):
        assert Workspace(compose(free)).keys == plain
    shared = Workspace(compose("launch.processes=2")).keys
    assert shared["r1_zero"] != plain["r1_zero"] and shared["base"] == plain["base"]
    changed = _changed_by(compose, "seed=1")
    bases = {name for name in plain if re.fullmatch(r"(evaluate_)?(\w+_)?base", name)}
    bases |= {name for name in plain if name.startswith(("base_search", "evaluate_base_"))}
    assert changed == set(plain) - bases
    evaluations = {name for name in plain if name.startswith("evaluate_")}
    searched = {"base_search", "comparison"}
    assert _changed_by(compose, "evaluation.top_p=0.9") == evaluations | searched
    in_depth = {f"evaluate_{name}" for name in ("base", "r1_zero")}
    assert _changed_by(compose, "evaluation.samples=3") == in_depth | {"comparison"}
    alone = _with_evaluations("qwen_base", "llama_base") - {"comparison"}
    assert not alone & _changed_by(compose, "model.layers=3")
    assert Workspace(compose()).with_inputs("r1_zero") == ["base", "r1_zero"]
    assert find("base").seconds(compose()) > 0


def test_settings_that_came_later_enter_a_key_only_where_they_are_set(compose):
    space = Workspace(compose())
    for stage in space.stages.values():
        named = [*(found := space.settings(stage))]
        named += [name for value in found.values() if isinstance(value, dict) for name in value]
        assert not {"raised_at", "raised_cap", "objective", "evaluation.problems"} & {*named}
    raised = compose("stage.dev2.raised_at=2", "stage.dev2.raised_cap=50")
    set_, name = Workspace(raised).settings(find("dev2", raised)), "stage.dev2"
    assert (set_[name]["raised_at"], set_[name]["raised_cap"]) == (2, 50)
    plain, other = space.keys, Workspace(raised).keys
    assert {n for n in plain if plain[n] == other[n]} >= {"r1_zero", "dev1", "cold_start_data"}
    assert {n for n in plain if plain[n] != other[n]} >= {"dev2", "evaluate_dev2", "r1"}
    few = compose("evaluation.problems=3")
    assert Workspace(few).settings(find("evaluate_base", few))["evaluation.problems"] == 3


def _changed_by(compose, setting):
    plain, other = Workspace(compose()).keys, Workspace(compose(setting)).keys
    return {name for name in plain if plain[name] != other[name]}


def _with_evaluations(*names):
    return {*names, *(f"evaluate_{name}" for name in names), "comparison"}


def test_a_setting_reruns_its_stage_and_what_follows_and_nothing_else(compose):
    """Down the graph of the paper: base, cold start, reasoning RL, SFT set, second SFT, last RL."""
    last = _with_evaluations("r1")
    assert _changed_by(compose, "stage.r1.steps=3") == last
    assert _changed_by(compose, "stage.reward_model.epochs=2") == last | {"reward_model"}
    third = _with_evaluations("dev3", "r1") | {"reward_model"}
    assert _changed_by(compose, "stage.dev3.epochs=2") == third
    students = {
        checkpoint
        for name in ("qwen", "llama")
        for checkpoint in (f"{name}_distilled", f"{name}_rl", f"{name}_distilled_rl")
    }
    after = _with_evaluations(*students) | {
        f"evaluate_{name}_rl_equal_flops" for name in ("qwen", "llama")
    }
    sampled = after | third | {"rejection_sampling"}
    assert _changed_by(compose, "stage.rejection_sampling.questions=41") == sampled
    second = sampled | _with_evaluations("dev2")
    assert _changed_by(compose, "stage.dev2.steps=3") == second
    first = second | _with_evaluations("dev1") | {"cold_start_data"}
    assert _changed_by(compose, "stage.cold_start_data.questions=41") == first
    own = {name for name in after if name.startswith(("qwen", "evaluate_qwen"))}
    own |= _with_evaluations("qwen_base")
    assert _changed_by(compose, "student.qwen.layers=3") == own


def test_ablations_are_off_until_switched_on_and_change_nothing_else(compose):
    plain, switched = Workspace(compose()).keys, Workspace(compose("ablation=all")).keys
    assert {name for name in switched if name not in plain} == {
        name
        for checkpoint in (
            "r1_zero_permuted",
            "r1_zero_format_only",
            "r1_zero_equal_weights",
            "dev2_no_language_reward",
            "dev3_reasoning_only",
            "dev3_unfiltered",
            "r1_preference_throughout",
            "qwen_rl_plateau",
            "llama_rl_plateau",
        )
        for name in (checkpoint, f"evaluate_{checkpoint}")
    } | {
        "base_rft_data",
        "base_rft",
        "evaluate_base_rft",
        "base_rft_search",
        "evaluate_base_rft_best",
        "evaluate_base_forced",
    } | {
        f"evaluate_{name}_{how}" for name in ("r1_zero", "r1") for how in ("greedy", "few_shot")
    } | {
        *("small_base", "small_search", "small_zero"),
        *(f"evaluate_small_{name}" for name in ("base", "base_best", "zero")),
    }
    assert {name for name in plain if plain[name] != switched[name]} == {"comparison"}
    with pytest.raises(R1ReproError, match="set ablation.reasoning_only=true to run it"):
        find("dev3_reasoning_only", compose())
