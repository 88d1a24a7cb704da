"""Our sampler, log-probabilities and losses on real weights, against plain ways to the same."""

import dataclasses
from itertools import islice

import pytest
import torch
from trl import GRPOTrainer

from r1repro.config import EngineConfig, RLConfig
from r1repro.generation.rollouts import Sampling, ends, sample
from r1repro.stages.models import load_model, load_trained
from r1repro.tasks import mini_world, templates
from r1repro.training import adapters, rl
from r1repro.training.logprobs import micro_batches, token_logps
from tests.laptop import laptop

pytestmark = pytest.mark.real

TOKENS = 24
NEAR = 0.375
"""Most nats between the likeliest token and the one taken, in bfloat16: three steps of
logits of 16 to 32, since two orders of summation round each of the two by a step or so."""
SETTINGS = laptop(
    RLConfig, format_of_right=False, steps=2, questions=2, generations=4, max_completion_tokens=16,
    beta=0.04, steps_per_generation=1, save_every=10, micro_batch_tokens=200,
)  # fmt: skip


def prompts_of(real, count=4):
    world = mini_world.build(0, 20, 20)
    texts = [templates.render("qwen", problem) for problem in islice(world.train(0), count)]
    return [real.tokenizer.encode(text) for text in texts]


def greedy(real, model, prompts):
    return sample(
        model, prompts, Sampling(TOKENS, 0.0), end_ids=ends(model, real.tokenizer),
        pad_id=real.tokenizer.pad_token_id, seed=0, with_logps=True,
    )  # fmt: skip


def test_greedy_decoding_is_that_of_generate_in_float32(real, model):
    prompts = prompts_of(real)
    for prompt, rollout in zip(prompts, greedy(real, model, prompts), strict=True):
        output = model.generate(
            torch.tensor([prompt]), max_new_tokens=TOKENS, do_sample=False,
            pad_token_id=real.tokenizer.pad_token_id,
        )  # fmt: skip
        assert rollout.token_ids == output[0, len(prompt) :].tolist()


def test_greedy_decoding_in_bfloat16_takes_a_likeliest_token(real):
    model = load_model(real.folder, EngineConfig(precision="bfloat16")).eval()
    prompts = prompts_of(real)
    for prompt, rollout in zip(prompts, greedy(real, model, prompts), strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *rollout.token_ids]])).logits[0].float()
        logps = logits[len(prompt) - 1 : -1].log_softmax(-1)
        taken = logps.gather(1, torch.tensor(rollout.token_ids)[:, None])[:, 0]
        assert (logps.max(-1).values - taken).max() <= NEAR
        assert (taken - torch.tensor(rollout.logps)).abs().max() <= NEAR


def _rows(real, model):
    """Completions of several lengths: ids and mask, left-padded prompts and T, and rollouts."""
    prompts = [prompt for prompt in prompts_of(real, 2) for _ in range(3)]
    rollouts = sample(
        model, prompts, Sampling(TOKENS), end_ids=ends(model, real.tokenizer),
        pad_id=real.tokenizer.pad_token_id, seed=3, with_logps=True,
    )  # fmt: skip
    rollouts = [
        dataclasses.replace(one, token_ids=one.token_ids[:n], logps=one.logps[:n])
        for one, n in zip(rollouts, (24, 5, 17, 1, 24, 9), strict=True)
    ]
    width, longest = max(map(len, prompts)), max(len(one.token_ids) for one in rollouts)
    ids = torch.full((len(prompts), width + longest), real.tokenizer.pad_token_id)
    mask = torch.zeros_like(ids)
    for row, (prompt, one) in enumerate(zip(prompts, rollouts, strict=True)):
        columns = slice(width - len(prompt), width + len(one.token_ids))
        ids[row, columns] = torch.tensor([*prompt, *one.token_ids])
        mask[row, columns] = 1
    return ids, mask, longest, prompts, rollouts


def test_packed_and_sampled_log_probabilities_are_those_of_a_plain_forward(real, model):
    ids, mask, longest, prompts, rollouts = _rows(real, model)
    split = ids.shape[1] - longest
    packed = torch.zeros(len(ids), longest)
    lengths = mask[:, :split].sum(1), mask[:, split:].sum(1)
    batches = micro_batches(*lengths, 3 * ids.shape[1])
    assert len(batches) > 1
    for rows in batches:
        p, t = (int(kind[rows].max()) for kind in lengths)
        columns = slice(split - p, split + t)
        with torch.no_grad():
            packed[rows, :t], *_ = token_logps(
                model.base_model, model.get_output_embeddings(), ids[rows, columns],
                mask[rows, columns], t, 1.0, with_entropy=False,
            )  # fmt: skip
    for row, (prompt, one) in enumerate(zip(prompts, rollouts, strict=True)):
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *one.token_ids]])).logits[0]
        said = torch.tensor(one.token_ids)
        plain = logits[len(prompt) - 1 : -1].log_softmax(-1).gather(1, said[:, None])[:, 0]
        assert torch.allclose(packed[row, : len(said)], plain, atol=2e-4)
        assert torch.allclose(torch.tensor(one.logps), plain, atol=2e-4)


@pytest.mark.long
def test_a_steps_loss_is_trls(real, tmp_path):
    problems = list(islice(mini_world.build(0, 20, 20).train(0), 4))
    trainer, _ = rl.build(
        load_trained(real.folder, EngineConfig(), 0), real.tokenizer, problems, SETTINGS,
        template="qwen", seed=0, folder=tmp_path,
    )  # fmt: skip
    ids, mask, longest, *_ = _rows(real, trainer.model.eval())
    split, generator = ids.shape[1] - longest, torch.Generator().manual_seed(0)
    said = mask[:, split:]
    with torch.no_grad():
        old, *_ = trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, longest)
    noise = lambda: old + 0.3 * torch.randn(old.shape, generator=generator) * said  # noqa: E731
    batch = {
        "prompt_ids": ids[:, :split], "prompt_mask": mask[:, :split],
        "completion_ids": ids[:, split:], "completion_mask": said,
        "advantages": torch.linspace(-1, 1, len(ids)), "old_per_token_logps": noise(),
        "ref_per_token_logps": noise(), "num_items_in_batch": said.sum().float(),
    }  # fmt: skip
    trainer.current_gradient_accumulation_steps = 1
    with torch.no_grad():
        theirs = GRPOTrainer._compute_loss(trainer, trainer.model, batch)
        ours = sum(
            trainer._compute_loss(trainer.model, micro) * share
            for micro, share in trainer._micro_batches(batch)
        )
    assert len(trainer._micro_batches(batch)) > 1
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-5)


@pytest.mark.long
def test_merged_adapters_are_the_adapted_model(real):
    model = load_trained(real.folder, EngineConfig(lora_rank=4), 0).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.01, generator=torch.Generator().manual_seed(1))
        ids = torch.tensor([prompts_of(real, 1)[0]])
        adapted, merged = model(ids).logits, adapters.whole(model)(ids).logits
        plain = load_model(real.folder)(ids).logits
    assert torch.allclose(adapted, merged, atol=1e-3)
    assert (adapted - plain).abs().max() > 0.1, "the adapters must do something"
