"""The lab's arms: their settings, their stages, and what a notebook shows of trained ones."""

import dataclasses
from pkgutil import resolve_name

import pandas as pd
import pytest

from r1repro import artifacts, config, launch
from r1repro.config import LABS, ROOT, lab
from r1repro.errors import R1ReproError
from r1repro.evaluation.checkpoints import about, form
from r1repro.lab import arms, failures
from r1repro.planning.stage_memory import needs
from r1repro.planning.work import settings_of, work
from r1repro.runner.workspace import Workspace
from tests.evaluation.test_metrics import rows

OWN = {"why_rl", "iterative_grpo"}
"""Notebooks with a stage of that name."""
MORE = {"on_and_off_policy": {lab.START, "offline_data"}, "advantages": {lab.PROCESS}}
"""Stages of a notebook besides: the base's evaluation, and data that are made beforehand."""


def _all(*words):
    return config.compose(["lab=all", *words])


@pytest.mark.parametrize("scale", ["laptop", "smoke"])
def test_arms_learn_from_equally_many_samples(scale):
    found = _all(f"scale={scale}")
    start = found.stage.r1_zero
    for name, arm in lab.arms().items():
        settings = lab.settings(start, arm)
        assert settings.steps % settings.updates_per_generation == 0, name
        assert settings.save_every % settings.updates_per_generation == 0, name
        if name in failures.CURVES:  # compared with none
            continue
        assert settings.batches == min(40, start.steps), name
        assert (settings.questions, settings.generations) == (start.questions, start.generations)
    of = {name: lab.settings(start, arm) for name, arm in lab.arms().items()}
    assert of["passes_4"].steps == 4 * of["grpo"].steps == 4 * of["parts_4"].steps
    assert of["grpo_half"].lr_rest == start.lr_rest / 2
    most = start.max_completion_tokens
    caps = {name: {of[name].cap(0), of[name].last_cap} for name in of}
    assert caps["cap_low"] == caps["overlong"] == {most // 8} and caps["grpo"] == {most}
    half = of["grpo"].batches // 2
    assert [of["cap_raised"].cap(step) for step in (half - 1, half)] == [most // 8, most]
    ppo = of["ppo_95_3"].objective
    assert (ppo.lam, ppo.critic_lr) == (0.95, pytest.approx(3 * start.lr_matrices))


def test_an_arm_replaces_its_reference_after_as_many_samples_as_the_others():
    start = config.compose().stage.r1_zero
    for name, arm in lab.arms().items():
        settings = lab.settings(start, arm)
        after = 10 if name == "beta_04_replaced" else 40
        assert settings.reference_sync_steps == after * settings.objective.passes
        assert settings.snapshot_every == 0


def test_an_arms_cap_is_not_raised_by_what_raises_r1_zeros():
    rise = ["stage.r1_zero.raised_at=9", "stage.r1_zero.raised_cap=300"]
    start = config.compose(rise).stage.r1_zero
    of = {name: lab.settings(start, arm) for name, arm in lab.arms().items()}
    assert of["grpo"].last_cap == 300 and of["cap_low"].last_cap == 32
    assert (of["cap_raised"].cap(19), of["cap_raised"].last_cap) == (32, 256)


def test_the_graph_has_the_arms_and_shares_the_base_of_the_sequence():
    every, plain = Workspace(_all()), Workspace(config.compose())
    named = [f"lab_{name}" for name in lab.arms()]
    evaluated = {f"evaluate_{name}" for name in named}
    more = set().union(*MORE.values())
    assert set(every.stages) == {"base", *more, *OWN, *named, *evaluated}
    assert every.keys["base"] == plain.keys["base"] and not set(plain.stages) & set(named)
    assert len(set(every.keys.values())) == len(every.keys)
    for stage in every.stages.values():
        assert callable(resolve_name(stage.run))
        assert (ROOT / f"notebooks/{stage.notebook}.ipynb").is_file()
        assert work(every.config, stage).said and needs(every.config, stage) is not None
    for name in LABS:
        one = Workspace(config.compose([f"lab={name}"]))
        assert set(one.stages) == {
            "base",
            *(OWN & {name}),
            *MORE.get(name, ()),
            *(f"{of}lab_{arm}" for arm in lab.shown_in(name) for of in ("", "evaluate_")),
        }
        assert {stage.notebook for stage in one.stages.values()} == {f"lab/{name}"}
        assert all(one.keys[stage] == every.keys[stage] for stage in one.stages)
    rft, dpo = every.find("lab_rft_half"), every.find("lab_dpo")
    assert settings_of(every.config, rft).lr_matrices == every.config.stage.base_rft.lr_matrices / 2
    assert settings_of(every.config, dpo).lr_matrices == every.config.stage.r1_zero.lr_matrices
    assert needs(every.config, dpo).update > 1.9 * needs(every.config, rft).update, "pairs"
    assert needs(every.config, dpo).reference == needs(every.config, rft).weights
    grpo, ppo = every.find("lab_grpo"), every.find("lab_ppo_1_3")
    assert settings_of(every.config, ppo).objective.advantage == "gae"
    critic = needs(every.config, ppo).reference - needs(every.config, grpo).reference
    assert critic > 3 * 4 * 500_000, "weights, gradients and optimizer of a critic"


def test_data_made_beforehand_are_made_anew_for_another_number_of_batches(monkeypatch):
    before, arms = Workspace(_all()).keys, lab.arms()
    fewer = {"grpo": dataclasses.replace(arms["grpo"], changes=(("batches", 20),))}
    monkeypatch.setattr(lab, "arms", lambda: {**arms, **fewer})
    after = Workspace(_all()).keys
    assert after["offline_data"] != before["offline_data"]
    assert after["lab_dpo"] != before["lab_dpo"], "it learns from them"
    assert after["lab_online_rft"] == before["lab_online_rft"]


def test_a_cold_start_is_a_stage_of_which_another_begins():
    every = Workspace(_all())
    assert every.stages["lab_cold_answer"].inputs == ("lab_cold",)
    assert every.stages["lab_answer"].inputs == ("base",)
    assert {lab.arms()[name].start for name in lab.arms()} == {"base", "lab_cold"}
    start = every.config.stage.r1_zero
    cold, plain = (lab.settings(start, lab.arms()[name]) for name in ("cold_answer", "answer"))
    assert cold == plain
    tenth, whole = (work(every.config, every.find(f"lab_{name}")) for name in ("cold", "sft"))
    assert tenth.learned == pytest.approx(whole.learned / 10, rel=0.02)


@pytest.mark.parametrize(
    ("name", "changes", "why"),
    [
        ("cold_answer", {"after": "answer"}, "takes an arm of SFT above it"),
        ("cold_answer", {"after": "nothing"}, "takes an arm of SFT above it"),
        ("grpo", {"after": "cold"}, "takes an arm of SFT above it"),  # which is below it
        ("process", {"after": "sft"}, "that is shown in advantages too"),
        ("dpo", {"offline": "dpo", "after": "sft"}, "is for an arm of RL"),
        ("answer", {"share": 0.5}, "share=0.5 is for an arm with offline"),
        ("sft", {"offline": "sft", "share": 10}, "a number above 0 and up to 1"),
    ],
)
def test_a_start_or_share_that_nothing_would_follow_is_refused(name, changes, why):
    made = dict(lab.arms())
    made[name] = dataclasses.replace(made[name], changes=tuple(changes.items()))
    with pytest.raises(R1ReproError, match=f"{name}: .*{why}"):
        lab._check_starts(made)


def test_sft_is_refused_where_no_question_has_a_worked_answer():
    with pytest.raises(R1ReproError, match="a notebook without SFT, whose worked answers only"):
        config.compose([
            "scale=pocket", "model=smollm2-135m-instruct", "task=word_problems_en",
            "lab=on_and_off_policy", "engine.lora_rank=0",
        ])  # fmt: skip


def test_an_arm_is_asked_as_r1_zero_is():
    found = config.compose(["scale=gpu", "model=qwen2.5-0.5b"])
    assert form(found, "lab_ppo_1_3") == form(found, "r1_zero") != form(found, "r1")
    assert about("lab_ppo_1_3").label == "PPO, λ = 1"


def test_what_is_refused():
    with pytest.raises(R1ReproError, match="lab=rlhf is not accepted: lab takes one of none, why"):
        config.compose(["lab=rlhf"])
    with pytest.raises(R1ReproError, match=r"ppo_95_1: objective.advantage.* launch.processes=1"):
        _all("launch.processes=2")


def published(space, name, file, rows):
    folder = artifacts.work_folder(space.runs, name, space.keys[name])
    folder.mkdir(parents=True)
    pd.DataFrame(rows).to_parquet(folder / file)
    artifacts.publish(folder, space.runs, name, space.keys[name], {"seconds": 1.0})


@pytest.fixture
def half(tmp_path):
    """A configuration with four of the nine arms of ppo_vs_grpo: right answers to 40 problems."""
    found = config.compose(["lab=ppo_vs_grpo", f"runs={tmp_path}"])
    space = Workspace(found)
    for arm, right in {"grpo": 24, "grpo_half": 12, "ppo_1_3": 23, "ppo_95_1": 2}.items():
        spent = {
            "seconds_rollout": 1.0, "seconds_reference": 0.5,
            "seconds_update": 4 if "ppo" in arm else 1,
        }  # fmt: skip
        curve = [{"step": i + 1, "pass_at_1": i / 40, "length": 30.0} | spent for i in range(40)]
        if "ppo" in arm:
            curve = [row | {"explained_variance": 0.5 - (row["step"] == 40) * 99} for row in curve]
        published(space, f"lab_{arm}", "metrics.parquet", curve)
        answered = [x for i in range(40) for x in rows(str(i), [i < right] * 4)]
        published(space, f"evaluate_lab_{arm}", "evaluation.parquet", answered)
    return found


def test_what_a_notebook_shows_of_trained_arms(half):
    found = arms.trained(half, "ppo_vs_grpo")
    assert list(found.curves) == ["grpo", "grpo_half", "ppo_95_1", "ppo_1_3"]
    assert found.best == {"GRPO": "grpo", "PPO, λ = 0.95": "ppo_95_1", "PPO, λ = 1": "ppo_1_3"}
    assert found.curves["grpo"].samples.iloc[-1] == 40 * 16 * 16
    assert len(found.missing) == 5 and "lab=ppo_vs_grpo" in arms.how(found)
    shown = {row.label: row.cells for row in arms.table(found).rows}
    assert list(shown) == [
        "GRPO, rate × 1", "GRPO, rate × 0.5", "PPO, λ = 0.95, rate × 1, critic's rate × 1",
        "PPO, λ = 1, rate × 1, critic's rate × 3",
    ]  # fmt: skip
    assert shown["GRPO, rate × 1"][0].startswith("60.0") and shown["GRPO, rate × 1"][-1] == "–"
    assert shown["GRPO, rate × 0.5"][-1].startswith("−30.0")
    said = arms.told(found)._repr_html_()
    assert "PPO, λ = 0.95 is below GRPO (−55.0" in said
    assert "PPO, λ = 1 is not told apart from GRPO (−2.5" in said
    figure = arms.curves(found, ["pass_at_1", "explained_variance", "clip_fraction"])
    assert len(figure.axes) == 2, "what no arm has measured has no panel"
    assert [len(axes.get_legend_handles_labels()[1]) for axes in figure.axes] == [3, 2]
    assert figure.axes[1].get_ylim() == (-1.0, 1.02)


def test_two_arms_are_compared_and_the_base_by_its_name(half, tmp_path):
    found = arms.trained(half, "ppo_vs_grpo")
    start = pd.DataFrame([x for i in range(40) for x in rows(str(i), [i < 4] * 4)])
    found = dataclasses.replace(found, start=start)
    shown = arms.between(found, [("base", "grpo"), ("grpo_half", "grpo"), ("grpo", "ppo_1_1")])
    assert [row.label for row in shown.rows] == [
        "base → GRPO, rate × 1", "GRPO, rate × 0.5 → GRPO, rate × 1",
    ]  # fmt: skip
    first, second = (row.cells for row in shown.rows)
    assert first[0].startswith("10.0") and first[1].startswith("60.0") and "+50.0" in first[2]
    assert "+30.0" in second[2]
    assert arms.between(found, [("grpo", "process")]) is None


def test_at_equal_seconds_the_slower_has_learned_from_fewer(half):
    """GRPO takes 2.5 s a batch and PPO 5.5: after GRPO's 100 s PPO has finished 18 of 40."""
    shown = arms.at_equal_seconds(arms.trained(half, "ppo_vs_grpo"))
    assert shown.columns[1:3] == ("Completions in 100 s", "pass@1 on training prompts, 100 s")
    rows = {row.label: row.cells for row in shown.rows}
    whole = f"{100 * 37 / 40:.1f}\u00a0%"
    assert rows["GRPO"] == ("100", f"{40 * 256:,}", whole, whole)
    assert rows["PPO, λ = 1"] == ("220", f"{18 * 256:,}", f"{100 * 15 / 40:.1f}\u00a0%", whole)
    assert arms.at_equal_seconds(arms.trained(half, "advantages")) is None
    found = arms.trained(half, "ppo_vs_grpo")
    slow = found.curves["ppo_1_3"].assign(seconds_update=1000.0)
    slow = dataclasses.replace(found, curves={**found.curves, "ppo_1_3": slow})
    rows = {row.label: row.cells for row in arms.at_equal_seconds(slow).rows}
    assert rows["PPO, λ = 1"] == ("40,060", "0", "–", whole)


def test_what_it_shows_without_any(tmp_path):
    found = arms.trained(config.compose([f"runs={tmp_path}"]), "kl_and_reference")
    assert arms.curves(found, ["pass_at_1"]) is None and arms.told(found) is None
    assert arms.at_equal_seconds(found) is None
    said = arms.table(found)._repr_html_()
    assert (
        "<code>r1repro run lab=kl_and_reference</code> with the same settings trains them" in said
    )


def test_a_run_of_the_lab_trains_the_arms_and_shows_them(tmp_path, capsys):
    settings = config.compose(["scale=smoke", "lab=on_and_off_policy", f"runs={tmp_path}"])
    page = launch.run(settings)
    place = page.parent / "notebooks"
    executed = (place / "on_and_off_policy.ipynb").read_text()
    assert "4 passes over each sample" in executed and "image/png" in executed
    assert "not been run with these settings" not in executed and "Traceback" not in executed
    curves = arms.trained(settings, "on_and_off_policy").curves
    assert {name: len(rows) for name, rows in curves.items() if len(rows) != 4} == {
        "passes_4": 16, "passes_4_wide": 16,
    }  # fmt: skip
    found = arms.trained(settings, "on_and_off_policy")
    without = {method for method, arm in found.best.items() if arm not in found.curves}
    assert without == {"SFT", "cold start, SFT on a tenth", "RFT", "DPO"}, "no RL"
    assert "GRPO" in executed and "DPO" in executed and "online RFT" in executed
    said = page.read_text()
    assert "4 passes, clip range 10" in said and "not testable" in said.lower()
    assert 'href="notebooks/on_and_off_policy.html"' in said
    assert {float(rows.samples.iloc[-1]) for rows in curves.values()} == {64.0}
    built = {stage: Workspace(settings).place(stage) for stage in Workspace(settings).stages}
    assert all((folder / "manifest.json").is_file() for folder in built.values())
    capsys.readouterr()
    assert launch.run(settings) == page
    assert capsys.readouterr().out.count("cached") == len(built)
