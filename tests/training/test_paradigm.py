"""Gradient coefficients against the losses that they belong to, and DPO against TRL."""

import math

import pytest
import torch
from datasets import Dataset
from transformers import Qwen3ForCausalLM
from trl import DPOConfig, DPOTrainer

from r1repro.training import objective, paradigm, ppo

MASK = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 0], [1, 0, 0, 0]])


def _logps(seed):
    generator = torch.Generator().manual_seed(seed)
    return -torch.rand(4, 4, generator=generator, dtype=torch.float64) * 3


def test_coefficients_by_hand():
    """A = 1 and -1, beta 0.1, pi_ref / pi = 2 and 1/2."""
    policy = torch.tensor([[0.2], [0.4]]).log()
    reference = torch.tensor([[0.4], [0.2]]).log()
    ones = torch.ones(2, 1)
    found = paradigm.grpo(torch.tensor([1.0, -1]), policy, reference, ones, 0.1)
    assert found.flatten().tolist() == pytest.approx([1 + 0.1 * 1, -1 + 0.1 * -0.5])
    right = torch.tensor([True, False])
    assert paradigm.rejection_fine_tuning(right, ones).tolist() == [[1], [0]]
    assert paradigm.sft(ones.long()).tolist() == [[1], [1]]
    assert paradigm.ppo(torch.tensor([[3.0], [-2]]), ones).tolist() == [[3], [-2]]


def test_they_are_those_of_the_losses():
    logps, reference = _logps(1).requires_grad_(), _logps(2)
    advantages = torch.tensor([1.0, -1, 0.5, -0.5], dtype=torch.float64)
    loss = objective.grpo_loss(logps, logps.detach(), reference, advantages, MASK, 0.2, 0.04)
    expected = paradigm.grpo(advantages, logps.detach(), reference, MASK, 0.04)
    assert torch.allclose(paradigm.of_loss(loss.value, logps, MASK), expected)

    by_token = ppo.whiten(_logps(3), MASK)
    loss = objective.grpo_loss(logps, logps.detach(), None, by_token, MASK, 0.2, 0.0)
    expected = paradigm.ppo(by_token, MASK)
    assert torch.allclose(paradigm.of_loss(loss.value, logps, MASK), expected)

    loss = objective.mean_of_completions(-logps, MASK)
    assert torch.allclose(paradigm.of_loss(loss, logps, MASK), paradigm.sft(MASK).double())


def test_dpo_by_hand():
    """Log-ratios of 0.5 and 0.5 (mean 0.5, sum 1) against -1 of one token, beta 2."""
    logps = torch.tensor([[-1.0, -1], [-2, 0]], dtype=torch.float64)
    reference = torch.tensor([[-1.5, -1.5], [-1, 0]], dtype=torch.float64)
    mask = torch.tensor([[1, 1], [1, 0]])
    margin = paradigm.dpo_margin(logps, reference, mask, beta=2.0)
    assert margin.tolist() == pytest.approx([2 * (0.5 + 1)])
    assert paradigm.dpo_loss(margin).item() == pytest.approx(math.log(1 + math.exp(-3)))
    assert paradigm.dpo(margin).tolist() == pytest.approx([1 / (1 + math.exp(3))])
    summed = paradigm.dpo_margin(logps, reference, mask, beta=2.0, by_length=False)
    assert summed.tolist() == pytest.approx([2 * (1 + 1)])


def test_dpos_coefficient_is_that_of_its_loss():
    """Up to beta, and to the two completions that the mean over pairs counts as one."""
    logps, beta = _logps(1).requires_grad_(), 0.3
    margin = paradigm.dpo_margin(logps, _logps(2), MASK, beta)
    found = paradigm.of_loss(paradigm.dpo_loss(margin), logps, MASK) / (2 * beta)
    chosen = paradigm.dpo(margin.detach())[:, None]
    assert torch.allclose(found, torch.cat([chosen, -chosen]) * MASK)


@pytest.mark.parametrize(("kind", "by_length"), [("sigmoid_norm", True), ("sigmoid", False)])
def test_dpo_equals_trls(base, tokenizer, tmp_path, kind, by_length):
    model = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32)
    rows = [{"prompt": "User: 1+2", "chosen": " 12", "rejected": " 1+1+2"}] * 2
    trainer = DPOTrainer(
        model=model,
        ref_model=Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32),
        args=DPOConfig(
            output_dir=str(tmp_path),
            loss_type=[kind],
            beta=0.3,
            per_device_train_batch_size=2,
            gradient_checkpointing=False,
            use_cpu=True,
            bf16=False,
            report_to="none",
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    with torch.no_grad():  # away from its reference
        for parameter in trainer.model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator())
    batch = next(iter(trainer.get_train_dataloader()))
    theirs = trainer._compute_loss(trainer.model, batch, return_outputs=False)

    def logps(of):
        logits = of(batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1]
        picked = batch["input_ids"][:, 1:, None]
        return logits.log_softmax(-1).gather(2, picked)[..., 0]

    mask = batch["completion_mask"][:, 1:]
    assert len(set(mask.sum(1).tolist())) > 1, "chosen and rejected must differ in length"
    margin = paradigm.dpo_margin(
        logps(trainer.model), logps(trainer.ref_model), mask, 0.3, by_length
    )
    assert abs(margin).max() > 0.01
    assert paradigm.dpo_loss(margin).item() == pytest.approx(theirs.item(), rel=1e-5)
