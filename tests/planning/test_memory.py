"""Computed bytes against the actual bytes of models, optimizers and a step's tensors."""

from dataclasses import replace
from itertools import islice

import pytest
import torch
from transformers import AutoModelForCausalLM

from benchmarks.memory_table import hub_models
from r1repro.config import EngineConfig, ModelConfig, RLConfig
from r1repro.generation.rollouts import Sampling, sample
from r1repro.planning import memory
from r1repro.stages.models import load_trained, save_model
from r1repro.tasks import mini_world, templates
from r1repro.training import rl
from r1repro.training.logprobs import CHUNK, token_logps
from r1repro.training.optimizer import MuonWithAdamW
from r1repro.training.shape import described
from tests.laptop import laptop
from tests.live_bytes import LiveBytes

PUBLISHED = {
    "qwen2.5-0.5b": 494_032_768,
    "qwen2.5-1.5b": 1_543_714_304,
    "qwen2.5-3b": 3_085_938_688,
    "qwen2.5-7b": 7_615_616_512,
    "qwen2.5-14b": 14_770_033_664,
    "qwen2.5-32b": 32_763_876_352,
    "qwen2.5-coder-0.5b": 494_032_768,
    "smollm2-135m": 134_515_008,
    "smollm2-135m-instruct": 134_515_008,
    "smollm2-360m": 361_821_120,
    "qwen2.5-math-1.5b": 1_543_714_304,
    "qwen2.5-math-7b": 7_615_616_512,
    "llama-3.2-1b": 1_235_814_400,
    "llama-3.2-3b": 3_212_749_824,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.3-70b-instruct": 70_553_706_496,
}
MINI = laptop(
    ModelConfig,
    hidden_size=96, layers=3, heads=4, kv_heads=2, head_dim=32, intermediate_size=288,
    vocabulary=2_000, max_position=256,
)  # fmt: skip
WHOLE = EngineConfig()
SHAPES = [
    replace(MINI, architecture=name, tied=tied)
    for name, tied in (("qwen2", True), ("qwen3", True), ("llama", True), ("llama", False))
]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda s: f"{s.architecture}-{s.tied}")


def _model(shape):
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(described(shape), dtype=torch.float32)


def _adapted(model, rank):
    peft = pytest.importorskip("peft")
    settings = peft.LoraConfig(r=rank, lora_alpha=8, target_modules="all-linear")
    return peft.get_peft_model(model, settings)


def _bytes(tensors):
    return sum(t.numel() * t.element_size() for t in tensors)


def _state(optimizer):
    return [value for state in optimizer.state.values() for value in state.values()]


def test_models_of_the_hub_have_their_published_parameters():
    found = {name: memory.count(described(model)).total for name, model in hub_models().items()}
    assert found == PUBLISHED


@shapes
def test_weights_gradients_and_optimizer_of_a_whole_model_are_exact(shape):
    model, counts = _model(shape), memory.count(described(shape))
    optimizer = MuonWithAdamW(model, 1e-3, 1e-3)
    ids = torch.randint(0, shape.vocabulary, (2, 8))
    model(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()
    parameters = list(model.parameters())
    assert memory.weights(counts, WHOLE) == _bytes(parameters)
    assert memory.gradients(counts, WHOLE) == _bytes(p.grad for p in parameters)
    assert memory.optimizer(counts, WHOLE) == _bytes(
        t if torch.is_tensor(t) else torch.tensor(t) for t in _state(optimizer)
    )


@shapes
def test_weights_and_optimizer_with_lora_are_exact(shape):
    counts = memory.count(described(shape))
    model = _adapted(_model(shape).to(torch.bfloat16), 4)
    moved = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(moved)
    ids = torch.randint(0, shape.vocabulary, (2, 8))
    with torch.autocast("cpu", torch.bfloat16):
        model(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()
    engine = replace(WHOLE, precision="bfloat16", lora_rank=4)
    assert memory.trained(counts, engine) == sum(p.numel() for p in moved)
    assert memory.weights(counts, engine) == _bytes(model.parameters())
    assert memory.gradients(counts, engine) == _bytes(p.grad for p in moved)
    assert memory.optimizer(counts, engine) == _bytes(_state(optimizer))


@pytest.mark.parametrize("rank", [0, 4], ids=["whole", "LoRA"])
@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "made again"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(("architecture", "vocabulary"), [("qwen2", 2_000), ("qwen3", 200)])
def test_an_updates_peak_is_within_a_fifth_of_what_is_alive(
    architecture, vocabulary, precision, checkpointing, rank
):
    """Log-probabilities and backward passes of two micro-batches, as in GRPO."""
    rows, prompt, said = 6, 16, 80
    engine = EngineConfig(precision, gradient_checkpointing=checkpointing, lora_rank=rank)
    shape = replace(MINI, architecture=architecture, vocabulary=vocabulary)
    model, counts = _model(shape), memory.count(described(shape))
    policy = model if rank == 0 else _adapted(model.to(getattr(torch, precision)), rank)
    model.train()
    if checkpointing:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable({"use_reentrant": False})
    ids = torch.randint(0, vocabulary, (rows, prompt + said))
    mask = torch.ones_like(ids)
    mask[0, :3] = 0  # otherwise no mask is created
    head = model.get_output_embeddings()
    with LiveBytes(policy.parameters()) as live:
        for _ in range(2):
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                logps, entropy, _ = token_logps(model.base_model, head, ids, mask, said, 1.0, True)
            logps.mean().backward()
            del logps, entropy
    settings = laptop(
    RLConfig,
        questions=3, generations=2, max_completion_tokens=said,
        micro_batch_tokens=rows * (prompt + said),
    )  # fmt: skip
    needed = memory.grpo(described(shape), counts, settings, engine, 1, prompt)
    assert needed.update == pytest.approx(live.peak, rel=0.2)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_rollouts_peak_is_within_a_fifth_of_what_is_alive(precision):
    rows, said = 64, 90
    model, counts = _model(MINI).eval(), memory.count(described(MINI))
    engine = replace(WHOLE, precision=precision)
    model = model.to(getattr(torch, precision))
    prompts = [[5, 6, 7]] * rows
    with LiveBytes(model.parameters()) as live:
        sample(model, prompts, Sampling(said), end_ids=[2_000], pad_id=0, seed=0)
    needed = memory.sampling(described(MINI), counts, rows, 3, said, engine)
    assert needed.rollouts == pytest.approx(live.peak, rel=0.2)


def test_a_step_takes_what_muon_stacks(shape=SHAPES[0]):
    model, counts = _model(shape), memory.count(described(shape))
    optimizer = MuonWithAdamW(model, 1e-3, 1e-3)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    known = [*model.parameters(), *(p.grad for p in model.parameters())]
    known += [value for value in _state(optimizer) if torch.is_tensor(value)]
    with LiveBytes(known) as live:
        optimizer.step()
    # On CPUs the four Newton-Schulz matrices are float32.
    expected = memory.step(counts, WHOLE) + 4 * 2 * counts.largest
    assert expected == pytest.approx(live.peak, rel=0.2)


def test_by_hand():
    shape = described(replace(MINI, vocabulary=4_000))
    # 5 rows of 10 tokens after 1 in 3 layers, keys and values of 2 heads of 32; room for 64 more
    draws = 5 * 4_000 * 4 * 4
    assert memory.rollouts(shape, 5, 1, 10, WHOLE) == 3 * 2 * 2 * 32 * 5 * (1 + 64) * 4 + draws
    assert memory.logits(shape, 7, WHOLE, True) == 7 * 4_000 * (2 * 4 + 3 * 4)
    assert memory.logits(shape, 7, WHOLE, False) == 7 * 4_000 * 3 * 4
    low = replace(WHOLE, precision="bfloat16")
    assert memory.logits(shape, 7, low, True) == 7 * 4_000 * (2 * 2 + 3 * 4)
    assert memory.logits(shape, 10**6, low, True) == 10**6 * 4_000 * 2 * 2 + 3 * 4 * CHUNK
    # 131 tokens are more than 1 + 64: room for 65 more twice; a layer is more than what is drawn
    few = described(replace(MINI, vocabulary=8))
    assert memory.rollouts(few, 5, 1, 130, low) == (3 + 1) * 2 * 2 * 32 * 5 * (1 + 64 + 2 * 65) * 2


@pytest.mark.parametrize("rank", [0, 4], ids=["whole", "LoRA"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_two_steps_of_the_trainer_hold_what_is_computed(tokenizer, tmp_path, precision, rank):
    """With checkpointing; without it, shared prompts are prefilled once and take less memory."""
    engine = EngineConfig(precision, gradient_checkpointing=True, lora_rank=rank)
    shape = described(
        replace(MINI, vocabulary=len(tokenizer)),
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    base = tmp_path / "model"
    save_model(AutoModelForCausalLM.from_config(shape, dtype=torch.float32), tokenizer, base)
    settings = laptop(
    RLConfig,
        steps=2, questions=4, generations=4, max_completion_tokens=40, micro_batch_tokens=2_000,
        save_every=10**6,
    )  # fmt: skip
    problems = list(islice(mini_world.build(0, 20, 20).train(0), 8))
    trainer, _ = rl.build(
        load_trained(base, engine, 0), tokenizer, problems, settings,
        template="mini", seed=0, folder=tmp_path / "grpo", engine=engine,
    )  # fmt: skip
    held = list(trainer.model.parameters())
    held += list(trainer.ref_model.parameters()) if trainer.ref_model is not None else []
    with LiveBytes(held) as live:
        trainer.train()
    prompt = max(len(tokenizer.encode(templates.render("mini", problem))) for problem in problems)
    needed = memory.grpo(shape, memory.count(shape), settings, engine, 1, prompt)
    assert needed.weights + needed.reference == _bytes({id(p): p for p in held}.values())
    assert needed.peak - needed.weights - needed.reference == pytest.approx(live.peak, rel=0.2)
