"""Estimates of computation, and the policy that is kept when a budget is spent."""

import dataclasses
from itertools import islice

import pytest
import torch
from safetensors.torch import load_file
from transformers import Qwen3ForCausalLM

from r1repro.artifacts import Progress
from r1repro.rewards import rules
from r1repro.tasks import mini_world
from r1repro.training import flops, grpo
from tests.length_rewarded import by_length
from tests.training.test_grpo_objective import SETTINGS

STEPS = dataclasses.replace(
    SETTINGS, steps=3, steps_per_generation=1, save_every=10, lr_matrices=1e-2, lr_rest=1e-2
)


def test_by_hand():
    assert flops.forward(10, 3) == 60 and flops.trained(10, 3) == 180
    # 4 rows of one group: 8 prompt tokens each, read once; 2 completion tokens each
    without = flops.rollout(10, 32, 8, group=4, reference=False)
    assert without == 2 * 10 * (8 + 8)
    assert flops.rollout(10, 32, 8, group=4, reference=True) - without == 2 * 10 * 40


def test_a_step_is_charged_with_its_own_update_and_the_first_with_the_rollout(
    base, words, tmp_path
):
    settings = dataclasses.replace(STEPS, steps=4, steps_per_generation=2)
    problems = list(islice(mini_world.build(0, 20, 20).train(0), 4 * settings.questions))
    model = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32)
    rows, _ = grpo.train(
        model, words, problems, settings, template="mini", seed=0, folder=tmp_path,
        progress=Progress(None),
    )  # fmt: skip
    spent = [b["flops"] - a["flops"] for a, b in zip([{"flops": 0.0}, *rows], rows, strict=False)]
    # Both updates of a generation cost alike; the first step has the rollout and the reference.
    assert spent[0] > 1.2 * spent[1] > 0 and spent[2] > 1.2 * spent[3] > 0


@pytest.mark.parametrize(("share", "step"), [(0.01, 1), (0.5, 2), (9.0, 3)])
def test_the_policy_is_kept_after_the_step_that_spends_the_budget(
    base, words, tmp_path, monkeypatch, share, step
):
    monkeypatch.setattr(rules, "accuracy", by_length)
    seen = []
    keep = grpo.Recorder._keep
    monkeypatch.setattr(
        grpo.Recorder, "_keep", lambda s, model: (seen.append(s.rows[-1]["step"]), keep(s, model))
    )

    def train(folder, budget):
        model = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32)
        folder.mkdir()
        problems = [
            p for p, _ in zip(mini_world.build(0, 20, 20).train(0), range(12), strict=False)
        ]
        rows, _ = grpo.train(
            model, words, problems, STEPS, template="mini", seed=0, folder=folder,
            progress=Progress(folder), budget=budget,
        )  # fmt: skip
        return model, rows

    _, rows = train(tmp_path / "free", None)
    assert not (tmp_path / "free" / flops.EQUAL_FLOPS).exists() and not seen
    spent = [row["flops"] for row in rows]
    assert spent == sorted(spent) and spent[0] > 0
    model, again = train(tmp_path / "kept", share * spent[-1] + 1)
    assert [row["flops"] for row in again] == spent and seen == [step]
    kept = load_file(tmp_path / "kept" / flops.EQUAL_FLOPS / "model" / "model.safetensors")
    same = all(torch.equal(kept[name], p) for name, p in model.named_parameters() if name in kept)
    assert same == (step == 3)
