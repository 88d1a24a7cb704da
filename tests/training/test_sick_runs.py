"""Really trained runs with deliberate faults, and the doctor's findings on them."""

import dataclasses

import pandas as pd
import pytest
import torch
from transformers import Qwen3ForCausalLM

from r1repro.artifacts import Progress
from r1repro.config import RLConfig, SFTConfig
from r1repro.evaluation.doctor import examine
from r1repro.rewards import rule_rewards
from r1repro.tasks import mini_world, templates
from r1repro.training import rl, sft
from tests.laptop import laptop
from tests.length_rewarded import by_length

SETTINGS = laptop(
    RLConfig,
    format_of_right=False,
    steps=10,
    questions=4,
    generations=4,
    max_completion_tokens=12,
    reference_sync_steps=100,
    save_every=100,
    micro_batch_tokens=1_000,
)
STILL = "learning rate that does nothing"


def trained(base, tokenizer, folder, **changes) -> pd.DataFrame:
    """Metrics of a few GRPO steps."""
    settings = dataclasses.replace(SETTINGS, **changes)
    model = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32)
    count = settings.steps * settings.questions
    problems = [p for p, _ in zip(mini_world.build(0, 20, 20).train(0), range(count), strict=False)]
    rows, _ = rl.train(
        model, tokenizer, problems, settings,
        template="mini", seed=0, folder=folder, progress=Progress(None),
    )  # fmt: skip
    pd.DataFrame(rows).to_parquet(folder / "metrics.parquet")
    return pd.DataFrame(rows)


def verdicts(rows, **changes) -> dict[str, str]:
    found = examine("r1_zero", rows, dataclasses.replace(SETTINGS, **changes))
    return {one.what: f"{one.figure}; {one.remedy}; {one.now}" for one in found}


def test_a_learning_rate_of_zero(base, tokenizer, tmp_path, monkeypatch):
    # A random model earns no rule reward, so no learning rate would move it.
    monkeypatch.setattr(rule_rewards, "accuracy", by_length)
    none = {"lr_matrices": 0.0, "lr_rest": 0.0}
    rows = trained(base, tokenizer, tmp_path / "zero", **none)
    assert "rate of 0" in verdicts(rows, **none)[STILL]
    # A rate too small for the weights' precision shows in the policy's KL.
    assert "KL to the reference" in verdicts(rows.drop(columns="lr"), **none)[STILL]
    assert STILL not in verdicts(trained(base, tokenizer, tmp_path / "moves"))


def test_a_learning_rate_beyond_all_bounds(base, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(rule_rewards, "accuracy", by_length)
    wild = {"lr_matrices": 1.0, "lr_rest": 1.0}
    rows = trained(base, tokenizer, tmp_path, **wild)
    assert {"exploding KL", "non-finite KL"} & set(verdicts(rows, **wild))


def test_a_cap_too_short(base, tokenizer, tmp_path):
    """The model learns to write six tokens and stop, then samples with a cap of four."""
    model = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32)
    problems = [p for p, _ in zip(mini_world.build(0, 20, 20).train(0), range(80), strict=False)]
    answer = [*tokenizer.encode("3") * 6, tokenizer.eos_token_id]
    examples = [(tokenizer.encode(templates.render("mini", p)), answer) for p in problems]
    settings = laptop(SFTConfig, epochs=6, batch_size=8, lr_matrices=1e-2, lr_rest=1e-2)
    sft.fine_tune(
        model, tokenizer, examples, settings, seed=0, folder=tmp_path, progress=Progress(None)
    )
    model.save_pretrained(tmp_path / "taught")
    tokenizer.save_pretrained(tmp_path / "taught")
    short = {"max_completion_tokens": 4, "steps": 5}
    told = verdicts(trained(tmp_path / "taught", tokenizer, tmp_path / "short", **short), **short)
    assert "max_completion_tokens=4" in told["clipped completions"]
    told = verdicts(trained(tmp_path / "taught", tokenizer, tmp_path / "long", steps=5), steps=5)
    assert "clipped completions" not in told


def test_a_base_that_earns_nothing(base, tokenizer, tmp_path):
    """No right answers or tags: every group has zero variance and format is always 0."""
    told = verdicts(trained(base, tokenizer, tmp_path, steps=5), steps=5)
    assert "easier problems" in told["zero-variance groups"]
    assert "0 at every step" in told["constant format reward"]
    assert STILL not in told


@pytest.mark.parametrize("sick", ["rate", "weight"])
def test_fine_tuning(base, tokenizer, tmp_path, sick):
    settings = laptop(
        SFTConfig, epochs=2, batch_size=4, lr_matrices=1e-2, lr_rest=1e-2, log_every=1
    )
    model = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32)
    if sick == "rate":
        settings = dataclasses.replace(settings, lr_matrices=0.0, lr_rest=0.0)
    else:
        with torch.no_grad():
            model.model.norm.weight[0] = float("nan")
    prompt = tokenizer.encode("User: Compute 1+2.")
    examples = [
        (prompt, [*tokenizer.encode("3" * n), tokenizer.eos_token_id]) for n in (1, 2, 3, 4)
    ] * 5
    rows = sft.fine_tune(
        model, tokenizer, examples, settings, seed=0, folder=tmp_path, progress=Progress(None)
    )
    (finding,) = examine("dev1", pd.DataFrame(rows), settings)
    assert finding.what == {"rate": STILL, "weight": "non-finite loss"}[sick]
