"""DPO on token ids: TRL's loss is the paper's, and a run moves the pair apart."""

import math
from dataclasses import replace

import pytest
import torch
from transformers import Qwen3ForCausalLM

from r1repro.artifacts import Progress
from r1repro.config import SFTConfig
from r1repro.errors import R1ReproError
from r1repro.training import dpo, paradigm
from r1repro.training.dpo import Pair

SETTINGS = SFTConfig(
    epochs=1, batch_size=2, rows_at_once=2, lr_matrices=1e-3, lr_rest=1e-3, log_every=1,
    save_every=9,
)  # fmt: skip


def logps_of(model, pairs):
    """(log-probabilities, mask) of the chosen and then the rejected answers' tokens."""
    rows = []
    for side in ("chosen", "rejected"):
        for pair in pairs:
            ids = torch.tensor([[*pair.prompt, *getattr(pair, side)]])
            logps = model(ids).logits.log_softmax(-1)[0, :-1].gather(1, ids[0, 1:, None])[:, 0]
            rows.append(logps[len(pair.prompt) - 1 :])
    pad = torch.nn.utils.rnn.pad_sequence
    return pad(rows, True), pad([torch.ones_like(row) for row in rows], True)


@pytest.fixture
def pairs():
    return [Pair([5, 6, 7], [8, 9], [10, 11, 12, 13]), Pair([6, 5], [14, 15, 16], [9])]


def test_the_loss_before_and_after_an_update_is_the_papers(base, pairs, tmp_path):
    from r1repro.stages.models import load_tokenizer

    policy, reference = (Qwen3ForCausalLM.from_pretrained(base) for _ in range(2))
    twice = replace(SETTINGS, epochs=2)
    rows = dpo.train(
        policy, reference, load_tokenizer(base), pairs, twice, seed=0, folder=tmp_path,
        progress=Progress(None),
    )  # fmt: skip
    # At first policy and reference are equal, so that the margin is zero and the loss log 2.
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert [row["step"] for row in rows] == [1, 2] and rows[1]["loss"] < rows[0]["loss"]
    assert rows[-1]["tokens"] == 2 * sum(pair.tokens for pair in pairs)
    with torch.no_grad():
        logps, mask = logps_of(policy, pairs)
        before, _ = logps_of(reference, pairs)
        trained, _ = logps_of(Qwen3ForCausalLM.from_pretrained(base), pairs)
    assert torch.equal(before, trained)  # the reference is left as it was
    margin = paradigm.dpo_margin(logps, before, mask, dpo.BETA, by_length=False)
    assert (margin > 0).all()


def test_trls_loss_is_the_papers_formula(base, pairs, tmp_path, monkeypatch):
    """On a policy away from its reference, the loss that is logged is that of paradigm.py."""
    from r1repro.stages.models import load_tokenizer

    policy, reference = (Qwen3ForCausalLM.from_pretrained(base) for _ in range(2))
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in policy.model.layers.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
        logps, mask = logps_of(policy, pairs)
        before, _ = logps_of(reference, pairs)
    margin = paradigm.dpo_margin(logps, before, mask, dpo.BETA, by_length=False)
    rows = dpo.train(
        policy, reference, load_tokenizer(base), pairs, SETTINGS, seed=0, folder=tmp_path,
        progress=Progress(None),
    )  # fmt: skip
    assert rows[0]["loss"] == pytest.approx(float(paradigm.dpo_loss(margin)), rel=1e-4)
    assert margin.abs().max() > 0.01


def test_without_a_pair_it_says_so(base, tokenizer, tmp_path):
    with pytest.raises(R1ReproError, match="0 pairs .* fill no batch of DPO: raise stage"):
        dpo.train(
            None, None, tokenizer, [], SETTINGS, seed=0, folder=tmp_path, progress=Progress(None)
        )  # fmt: skip
