"""Four answers, exactly, and what is said of trained rounds."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from r1repro.lab import arms, iterative, rounds
from r1repro.lab.iterative import FIRST, KEPT, REFRESHED, RULE
from r1repro.training.objective import grpo_loss
from tests.evaluation.test_metrics import rows as answered

BASE = [0.2 * 0.85, 0.2 * 0.15, 0.8 * 0.15, 0.8 * 0.85]


def test_the_reward_model_is_where_bradley_terry_is_largest():
    shares = iterative.pairs_of(np.array(BASE))
    assert shares.reshape(2, 2)[0].tolist() == pytest.approx(
        [BASE[0] * BASE[1] / 0.2059, BASE[0] * BASE[3] / 0.2059], rel=1e-3
    )
    found = iterative.fitted(shares, 30)
    weights = torch.tensor(found, requires_grad=True)
    scores = torch.stack([weights[0], weights.sum(), weights[1], torch.zeros(())])
    by = scores[[0, 2], None] - scores[None, [1, 3]]
    likelihood = (torch.tensor(shares).view(2, 2) * torch.nn.functional.logsigmoid(by)).sum()
    (30 * likelihood - weights.square().sum() / 2).backward()
    assert weights.grad.abs().max() < 1e-9
    assert iterative.paid(found).tolist() == pytest.approx(torch.sigmoid(scores).tolist())
    assert iterative.ranked(shares, np.zeros(3)) == pytest.approx(0.5)


def test_the_group_by_hand():
    """Rule: mean 1/4, deviation 1/2. The push on "surely" is B's advantage over 2 tokens and 4."""
    found = iterative.by_hand()
    assert found["rule"].tolist() == [1, 0, 0, 0]
    assert found["advantage, rule"].tolist() == pytest.approx([1.5, -0.5, -0.5, -0.5], abs=1e-3)
    learned = found["learned"]
    expected = (learned - learned.mean()) / (learned.std() + 1e-4)
    assert found["advantage, learned"].tolist() == pytest.approx(expected.tolist())
    assert learned.idxmax() == "B"
    pushes = iterative.pushes()
    assert pushes.rule["“surely”"] == pytest.approx(-0.5 / 8, abs=1e-4)
    assert pushes.learned["“surely”"] == pytest.approx(expected["B"] / 8)
    assert (iterative.pushes("ABCD").rule.abs() < 1e-9).all()


def test_pushes_are_the_gradient_of_the_loss_of_the_training():
    logits = torch.tensor(np.log([0.2 / 0.8, 0.15 / 0.85]), requires_grad=True)
    habits = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    logps = torch.nn.functional.logsigmoid(torch.where(habits == 1, logits, -logits))
    advantages = torch.tensor(iterative.by_hand()["advantage, learned"].tolist())
    mask = torch.ones(4, 2, dtype=torch.float64)
    grpo_loss(logps, logps.detach(), None, advantages, mask, 0.2, 0.0).value.backward()
    pushes = iterative.pushes().learned
    assert (-logits.grad).tolist() == pytest.approx([pushes["works"], pushes["“surely”"]])


def test_the_exact_rounds():
    found = iterative.exact()
    first, kept, refreshed = (found.curves[name] for name in (FIRST, KEPT, REFRESHED))
    assert found.answers["share, base"].tolist() == pytest.approx(BASE)
    assert first["accuracy"][0] == pytest.approx(BASE[0] + BASE[2])
    assert (first["learned"].diff()[1:] > 0).all() and (kept["learned"].diff()[1:] > 0).all()
    assert kept["accuracy"].iloc[-1] < first["accuracy"][0] < refreshed["accuracy"].iloc[-1]
    assert kept["accuracy"].iloc[0] == refreshed["accuracy"].iloc[0] == first["accuracy"].iloc[-1]
    assert kept["x"].tolist() == list(range(30, 61))
    assert found.ranks["first", "first round"] < 0.5 < found.ranks["refreshed", "first round"]
    said = rounds.told_exactly(found)._repr_html_()
    assert "pays B most, which is wrong" in said
    # Enough pairs for the rare answer, and the words turn with the result.
    said = rounds.told_exactly(iterative.exact(pairs=3000))._repr_html_()
    assert "pays A most, which is right" in said


def test_an_expected_update_is_the_mean_over_samples():
    """One update of 0.5, against the gradient of E[A] by autograd, with A held fixed."""
    logits = torch.tensor(np.log([0.2 / 0.8, 0.15 / 0.85]), requires_grad=True)
    works, sure = torch.sigmoid(logits)
    policy = torch.stack(
        [works * (1 - sure), works * sure, (1 - works) * sure, (1 - works) * (1 - sure)]
    )
    right = torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64)
    mean = float(policy.detach() @ right)
    ((policy @ (right - mean)) / (np.sqrt(mean * (1 - mean)) + 1e-4)).backward()
    after = iterative.policy((logits + 0.5 * logits.grad).detach().numpy())
    found = iterative.exact(updates=1).curves[RULE]
    assert found["accuracy"][1] == pytest.approx(after[0] + after[2])


def _round(arm, start, learned, accuracy):
    steps = range(start, start + 10)
    return pd.DataFrame(
        {
            "step": steps, "x": [256.0 * step for step in steps],
            "learned": np.linspace(*learned, 10), "accuracy": np.linspace(*accuracy, 10),
            "preference_ranks": 0.7,
        }
    ).assign(arm=arm)  # fmt: skip


@pytest.fixture
def found():
    """The learned reward is hacked in the second round, and not after it was refreshed."""
    of = {
        "first": _round("first", 1, (0.4, 0.6), (0.2, 0.4)),
        "kept": _round("kept", 11, (0.6, 0.9), (0.4, 0.3)),
        "refreshed": _round("refreshed", 11, (0.2, 0.5), (0.4, 0.6)),
    }
    share = {"first": 0.4, "kept": 0.1, "refreshed": 0.6}
    validation = [
        pd.DataFrame([x for i in range(40) for x in answered(str(i), [i < 40 * right] * 4)])
        for right in share.values()
    ]
    validation = pd.concat([v.assign(arm=a) for a, v in zip(share, validation, strict=True)])
    pairs = pd.DataFrame(
        {
            "problem_id": list("abcd"), "split": "held out",
            "score_chosen": [0.9, 0.9, 0.9, 0.1], "score_rejected": 0.5,
            "before_chosen": [0.1, 0.1, 0.9, 0.1], "before_rejected": 0.5,
        }
    )  # fmt: skip
    pairs = pd.concat([pairs.assign(model=name) for name in ("reward", "reward_refreshed")])
    kept = pd.DataFrame(
        {
            "arm": "kept", "step": [19, 20, 20, 20], "correct": [False, False, True, False],
            "prompt": ["1 + 1?", "1 + 1?", "1 + 1?", "2?"],
            "text": ["old", "<b>3</b>", "2", "4"], "answer": "2",
            "reward_preference": [0.99, 0.8, 0.9, 0.7],
        }
    )  # fmt: skip
    tables = {"pairs": pairs, "validation": validation, "samples": kept}
    trained = arms.Trained(rounds.STAGE, {}, {}, {"lab_grpo": 60.0})
    return rounds.Rounds(trained, tables, rounds.with_gap(of))


def test_a_gap_is_since_the_reward_model_first_paid(found):
    start = (0.4 + 0.4 + 0.2 / 9) / 2
    kept = found.curves[KEPT].iloc[-1]
    accuracy = 0.3 - (0.2 + 0.2 + 0.2 / 9) / 2
    assert kept["gap"] == pytest.approx(0.9 - start - accuracy)
    fresh = found.curves[REFRESHED]
    assert fresh["gap"].iloc[:2].sum() == pytest.approx(0), "a reward model has its own scale"


def test_what_is_shown_of_trained_rounds(found):
    shown = {row.label: row.cells for row in rounds.rises(found).rows}
    assert shown[KEPT][:2] == ("0.62 → 0.88", "39% → 31%") and shown[KEPT][3] == "70% → 70%"
    # from the first fifth of the first round to the last of this one
    gap = (0.8833 - 0.4111) - (0.3056 - 0.2111)
    assert float(shown[KEPT][2]) == pytest.approx(gap, abs=0.01)
    judged = [row.cells[0][:3] for row in rounds.judged(found).rows]
    assert judged == ["75%", "25%", "75%"]
    said = rounds.told(found)._repr_html_()
    assert f"{KEPT}, reward 0.62 to 0.88 and rule accuracy 39.4% to 30.6%" in said
    assert said.count("the reward rises, accuracy falls") == 1
    assert said.count("the reward rises, accuracy rises") == 2
    assert "ends above that with the same one (+50.0" in said and "ends below the first" in said
    assert "lab=iterative_grpo" in said, "an arm is missing"
    scores = {row.label: row.cells for row in rounds.scores(found).rows}
    assert scores[REFRESHED][-1].startswith("+50.0") and scores[KEPT][-1] == "–"
    worst = rounds.examples(found)._repr_html_()
    assert "&lt;b&gt;3" in worst and worst.index("&lt;b&gt;3") < worst.index(">4<")
    assert "old" not in worst
    figure = rounds.picture(iterative.exact(), found)
    lines = [len(panel.get_legend_handles_labels()[1]) for panel in figure.axes]
    assert lines == [3, 4, 3, 3]
    assert len(rounds.gaps(found).axes) == 2


def test_without_a_run_it_says_how(found):
    pairs = found.tables["pairs"].assign(split="train")
    alone = replace(found, tables={**found.tables, "pairs": pairs})
    assert [row.cells for row in rounds.judged(alone).rows] == [("–", "0")] * 3
    none = rounds.Rounds(found.arms, {}, {})
    assert rounds.gaps(none) is rounds.judged(none) is rounds.scores(none) is None
    assert "<code>r1repro run lab=iterative_grpo</code>" in rounds.told(none)._repr_html_()
    assert len(rounds.picture(iterative.exact(), none).axes) == 2
