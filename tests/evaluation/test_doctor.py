"""Tables with one deliberate fault each; trained runs: tests/training/test_sick_runs.py."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from r1repro.config import BaseConfig, EvaluationConfig, RLConfig, SFTConfig
from r1repro.evaluation import doctor
from r1repro.evaluation.doctor import Finding, examine, grouped
from tests.laptop import laptop
from tests.reports.made_up import checkpoint, pretraining_metrics, rl_metrics, sft_metrics

RL = laptop(RLConfig)
HEALTHY = rl_metrics(steps=120).assign(
    lr=1.3e-3, unparseable=0.01, verifier_timeouts=0.0, logp_mismatch=0.004
)


def named(rows, settings=RL):
    return [finding.what for finding in examine("r1_zero", rows, settings)]


def late(column, value, steps=30):
    """The healthy table with another value in its last steps."""
    changed = HEALTHY[column].astype(float).copy()
    changed.iloc[-steps:] = value
    return HEALTHY.assign(**{column: changed})


@pytest.mark.parametrize(
    ("rows", "settings"),
    [
        (HEALTHY, RL),
        (rl_metrics(steps=120), RL),  # an older version's table, without the newer columns
        (rl_metrics(seed=3).assign(kl=None), dataclasses.replace(RL, beta=0.0)),
        (sft_metrics(), laptop(SFTConfig)),
        (pretraining_metrics(), laptop(BaseConfig)),
        (checkpoint("base"), laptop(EvaluationConfig)),
        (checkpoint("r1"), laptop(EvaluationConfig)),
    ],
    ids=["rl", "older", "without KL", "sft", "base", "evaluate_base", "evaluate_r1"],
)
def test_healthy_tables_give_no_verdict(rows, settings):
    assert named(rows, settings) == []


SICK = {
    "clipped": (late("clipped", 0.3), "clipped completions", "30 %", "raise max_comp"),
    "groups": (late("zero_variance_groups", 0.9), "zero-variance groups", "90 %", "harder"),
    "format": (
        HEALTHY.assign(reward_format=0.0), "constant format reward", "0 at every", "template",
    ),
    "kl is nan": (late("kl", np.nan, 3), "non-finite KL", "in 3 of 120", "float32"),
    "kl is inf": (late("kl", np.inf, 1), "non-finite KL", "in 1 of 120", "discard the weights"),
    "entropy is nan": (late("entropy", np.nan, 2), "non-finite entropy", "in 2 of", "lower"),
    "kl explodes": (late("kl", 40.0, 6), "exploding KL", "up to 40 nats", "raise beta"),
    "kl exploded and came back": (
        HEALTHY.assign(kl=HEALTHY.kl.where(~HEALTHY.step.between(40, 50), 3.0)),
        "exploding KL", "from step 40", "lower lr_matrices",
    ),
    "entropy": (
        late("entropy", 0.01).assign(pass_at_1=0.4), "entropy collapse", "0.01 nats", "epsilon",
    ),
    "entropy, by its start": (late("entropy", 0.05), "entropy collapse", "0.05 nats", "tempera"),
    "unparseable": (late("unparseable", 0.4), "answers that cannot be read", "40 %", "template"),
    "timeouts": (late("verifier_timeouts", 13.0), "verifier time-outs", "5.08 %", "seconds"),
    "rate": (HEALTHY.assign(lr=0.0), "learning rate that does nothing", "rate of 0", "lr_rest"),
    "policy stays": (
        HEALTHY.assign(kl=2e-9), "learning rate that does nothing", "2e-09 nats", "raise lr_m",
    ),
    "a hacked reward": (
        HEALTHY.assign(pass_at_1=0.14 - 0.04 * (HEALTHY.step > 40)), "reward hacking",
        "pass@1 from 14 % to 10 %", "accuracy_weight",
    ),
    "a hacked reward that all have earned": (
        late("zero_variance_groups", 1.0).assign(pass_at_1=0.14 - 0.1 * (HEALTHY.step > 40)),
        "reward hacking", "to 4 %", "format_of_right=true",
    ),
    "accuracy": (
        late("pass_at_1", 0.1).assign(reward=0.4), "accuracy collapse", "to 10 %", "lower lr_mat",
    ),
    "engine": (late("logp_mismatch", 0.2), "engine mismatch", "0.2 nats a token", "precision"),
}  # fmt: skip


@pytest.mark.parametrize("name", SICK)
def test_one_sickness_gives_its_verdict_alone(name):
    rows, what, figure, remedy = SICK[name]
    (finding,) = examine("r1_zero", rows, RL)
    assert (finding.stage, finding.what) == ("r1_zero", what)
    assert figure in finding.figure and remedy in finding.remedy.lower()
    assert finding.limit


def test_what_helps_names_the_settings_as_they_are():
    (finding,) = examine("r1_zero", late("kl", 40.0, 6), RL)
    assert finding.now == "lr_matrices=0.0013, lr_rest=0.0013, beta=0.001"


def test_findings_are_told_by_verdict_with_what_helps_once():
    alike = ("constant format reward", "0 at each", "0.01 at least", "Read some", "")
    found = [Finding(stage, *alike) for stage in ("r1_zero", "dev2", "r1")]
    cut = ("clipped completions", "25 % at most", "Raise the cap")
    found.insert(1, Finding("r1_zero", cut[0], "60 %", cut[1], cut[2], "cap=48"))
    found.append(Finding("evaluate_r1", cut[0], "90 %", cut[1], cut[2], "cap=96"))
    assert grouped(found) == [
        ("constant format reward (0.01 at least)", "r1_zero, dev2, r1 0 at each", "Read some."),
        ("clipped completions (25 % at most)", "r1_zero 60 %; evaluate_r1 90 %", "Raise the cap."),
    ]
    assert grouped(found[1:2])[0][2] == "Raise the cap (now cap=48)."
    assert grouped([]) == []


def test_what_helps_depends_on_whether_the_answers_are_right():
    hard = late("zero_variance_groups", 0.9).assign(pass_at_1=0.02)
    (finding,) = examine("r1_zero", hard, RL)
    assert "easier problems" in finding.remedy
    assert finding.now == "generations=16, temperature=1"


def test_without_a_signal_the_learning_rate_is_not_blamed():
    rows = HEALTHY.assign(zero_variance_groups=1.0, kl=0.0, pass_at_1=0.0)
    assert named(rows) == ["zero-variance groups"]


def test_what_is_no_sickness():
    assert named(late("kl", 40.0, 3)) == [], "a spike of some steps"
    assert named(HEALTHY.assign(reward_format=1.0)) == [], "a format learned before"
    unpaid = dataclasses.replace(RL, format_weight=0.0)
    assert named(HEALTHY.assign(reward_format=0.0), unpaid) == []
    assert named(late("entropy", 0.01).assign(pass_at_1=0.97)) == [], "certain, and right"
    less = 0.14 - 0.01 * (HEALTHY.step > 40)
    assert named(HEALTHY.assign(pass_at_1=less)) == [], "pass@1 that falls by chance"
    slight = HEALTHY.assign(pass_at_1=less, reward=0.4 + 0.4 * (HEALTHY.step > 40))
    assert named(slight.assign(pass_at_1=less - 0.05 * (HEALTHY.step > 40))) == []
    chance = [0.9, 0.0, 0.8, 0.0, 0.5] + [0.4, 0.0, 0.3, 0.2, 0.0]
    assert named(HEALTHY.head(10).assign(pass_at_1=chance)) == [], "few questions, by chance"
    assert named(HEALTHY.head(9).assign(pass_at_1=[0.4] * 5 + [0.1] * 4)) == [], "few steps"
    start = HEALTHY.assign(clipped=HEALTHY.clipped.where(
        HEALTHY.step > 60, 0.9))  # fmt: skip
    assert named(start) == [], "what a run has left behind"


def test_later_updates_of_a_rollout_have_no_rollout_of_their_own():
    columns = ("clipped", "zero_variance_groups", "verifier_timeouts")
    thin = HEALTHY.assign(**{c: HEALTHY[c].where(HEALTHY.step % 2 == 0) for c in columns})
    assert named(thin) == []
    assert named(thin.assign(clipped=thin.clipped * 0 + 0.8)) == ["clipped completions"]


def test_a_few_steps_give_no_verdict_but_on_what_is_not_finite():
    few = HEALTHY.head(doctor.STEPS - 1)
    sick = few.assign(clipped=1.0, zero_variance_groups=1.0, lr=0.0, reward_format=0.0)
    assert named(sick) == []
    assert named(few.assign(kl=np.nan)) == ["non-finite KL"]
    assert named(pd.DataFrame()) == []


def test_fine_tuning_that_learns_nothing():
    flat = sft_metrics().assign(loss=1.2)
    assert named(flat, laptop(SFTConfig)) == ["learning rate that does nothing"]
    assert named(sft_metrics().assign(lr=0.0), laptop(SFTConfig)) == [
        "learning rate that does nothing"
    ]
    broken = sft_metrics()
    broken.loc[9, "loss"] = np.nan
    (finding,) = examine("dev1", broken, laptop(SFTConfig))
    assert finding.what == "non-finite loss" and "first at step 50" in finding.figure


def test_evaluations_that_say_little_of_reasoning():
    rows, settings = checkpoint("r1"), laptop(EvaluationConfig)
    reasoning = rows.task.isin(["arithmetic", "countdown"])
    unread = rows.assign(extracted=rows.extracted.where(~reasoning | (rows["sample"] > 3)))
    (finding,) = examine("evaluate_r1", unread, settings)
    assert finding.what == "answers that cannot be read" and "50 %" in finding.figure
    general = rows.assign(extracted=rows.extracted.where(reasoning))
    assert named(general, settings) == [], "general items may go unanswered"
    (finding,) = examine("evaluate_r1", rows.assign(finished=False), settings)
    assert finding.what == "clipped completions" and finding.now == "max_completion_tokens=256"


def test_every_limit_is_told():
    for limit in ("25 %", "80 %", "0.01", "0.95", "1 nat", "0.02", "10 %", "90 %", "1 %", "1e-06",
                  "2 %", "0.1 nats", "25 % of its weights", "90 % of its start",
                  "50 % of its start"):  # fmt: skip
        assert any(limit in told for told in doctor.LOOKED_FOR.values())
