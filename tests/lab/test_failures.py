"""The broken arms, what the doctor says of them, and the example for the pencil."""

import itertools
import math
from dataclasses import replace

import pytest

from r1repro import config
from r1repro.config import lab
from r1repro.lab import arms, failures
from r1repro.runner.health import of_stages
from r1repro.runner.workspace import Workspace
from r1repro.training.objective import STD_FLOOR
from tests.evaluation.test_metrics import rows
from tests.lab.test_arms import published
from tests.reports.made_up import rl_metrics


def test_a_group_of_equal_rewards_has_no_advantage():
    two, right = [1, 0, 0, 1, 0, 0, 0, 0], [1] * 8
    found = failures.groups({"two": two, "all": right, "shifted": [x + 1 for x in two]})
    deviation = math.sqrt(1.5 / 7)
    assert found.loc["two", "deviation"] == pytest.approx(deviation)
    best, worst = found.loc["two", ["advantage of the best", "of the worst"]]
    assert best == pytest.approx(0.75 / (deviation + STD_FLOOR))
    assert 2 * best + 6 * worst == pytest.approx(0)
    assert found.loc["all", ["deviation", "advantage of the best", "of the worst"]].eq(0).all()
    columns = ["advantage of the best", "of the worst"]
    assert found.loc["shifted", columns].tolist() == found.loc["two", columns].tolist()


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
def test_the_share_of_groups_that_teach_is_that_of_all_groups_listed(p):
    expected = sum(
        math.prod(p if right else 1 - p for right in group)
        for group in itertools.product([True, False], repeat=4)
        if len(set(group)) == 2
    )
    assert failures.teaching([p], [2, 4]).loc[p, "G = 4"] == pytest.approx(expected)


def test_every_broken_arm_has_its_curve_and_is_no_comparison():
    start = config.compose().stage.r1_zero
    healthy = lab.settings(start, lab.arms()["grpo"])
    assert {*failures.CURVES, "grpo"} == set(lab.shown_in("failures"))
    for name in failures.CURVES:
        arm = lab.arms()[name]
        assert arm.shown_in == ("failures",), "in no table of arms that learn from as many samples"
        assert failures._differences(lab.settings(start, arm), healthy), name
        assert lab.settings(start, arm).batches < healthy.batches
    assert failures._differences(healthy, healthy) == {}


@pytest.fixture
def broken(tmp_path):
    """GRPO, an arm whose answers are cut off, one whose KL explodes and one that shows nothing."""
    found = config.compose(["lab=failures", f"runs={tmp_path}"])
    plain = rl_metrics(40).assign(step=range(1, 41), unparseable=0.0)
    passes = lab.settings(found.stage.r1_zero, lab.arms()["broken_kl"]).objective.passes
    curves = {
        "grpo": plain,
        "broken_cap": plain.head(12).assign(clipped=0.97),
        "broken_kl": plain.head(4 * passes).assign(kl=7.0),
        "broken_pairs": plain.head(12),
    }
    answered = [x for i in range(4) for x in rows(str(i), [True] * 4)]
    for name, curve in curves.items():
        published(Workspace(found), f"lab_{name}", "metrics.parquet", curve)
        published(Workspace(found), f"evaluate_lab_{name}", "evaluation.parquet", answered)
    return found


def test_what_gives_runs_away_and_what_the_doctor_names(broken):
    found = arms.trained(broken, "failures")
    seen = failures.examined(broken, found)
    assert list(seen["broken_cap"].differs) == ["max_completion_tokens"]
    assert seen["broken_cap"].differs["max_completion_tokens"].endswith("(GRPO: 256)")
    assert seen["broken_kl"].rows["batch"].iloc[-1] == 4
    assert {name: run.named for name, run in seen.items()} == {
        "grpo": 0, "broken_cap": 1, "broken_kl": 1, "broken_pairs": 0,
    }  # fmt: skip
    assert len(failures.picture(seen, failures.teaching([0.1], [2])).axes) == 3
    said = failures.table(seen, found)._repr_html_()
    cap = lab.settings(broken.stage.r1_zero, lab.arms()["broken_cap"]).max_completion_tokens
    assert "clipped completions" in said and f"(now max_completion_tokens={cap})" in said
    told = failures.told(seen, failures.teaching([0.02], [2, 16]), found)._repr_html_()
    assert "3.9% of groups with G = 2 teach and 27.6% of groups with G = 16" in told
    assert "clipped completions 97%, with GRPO" in told
    assert "In 2 of 3 runs a remedy names a setting that was wrong; it does not for" in told
    assert "Of all findings in them 2 do so; the other 0 name" in told
    assert "Of GRPO the doctor says: nothing." in told and "3 of its arms have not been" in told


def test_a_run_without_rollouts_in_later_passes_is_shown_by_batch(broken):
    seen = failures.examined(broken, arms.trained(broken, "failures"))
    run = seen["broken_kl"]
    thin = run.rows.assign(clipped=run.rows["clipped"].where(run.rows.index % 4 == 0))
    assert replace(run, rows=thin).curve("clipped").notna().all()


def test_the_doctor_reads_an_arm_with_its_own_settings(broken):
    (finding,) = of_stages(broken, ["lab_broken_cap"]).findings
    own = lab.settings(broken.stage.r1_zero, lab.arms()["broken_cap"])
    assert finding.now == f"max_completion_tokens={own.max_completion_tokens}"


def test_before_anything_has_been_run(tmp_path):
    found = config.compose([f"runs={tmp_path}"])
    trained = arms.trained(found, "failures")
    seen, shares = failures.examined(found, trained), failures.teaching([0.02, 0.5], [2, 16])
    assert len(failures.picture(seen, shares).axes) == 1
    assert "<code>r1repro run lab=failures</code>" in failures.table(seen, trained)._repr_html_()
    assert "27.6%" in failures.told(seen, shares, trained)._repr_html_()
