"""Real weights are trained, saved, killed and resumed, in the memory that is foretold."""

import dataclasses
from itertools import islice

import pytest
import torch
from transformers import AutoConfig

from r1repro.artifacts import Progress
from r1repro.config import EngineConfig, SFTConfig
from r1repro.evaluation import doctor
from r1repro.planning import memory
from r1repro.rewards import rule_rewards
from r1repro.stages.models import load_model, load_tokenizer, load_trained, save_model
from r1repro.stages.sft import token_ids
from r1repro.tasks import mini_world, templates
from r1repro.training import rl, sft
from tests.laptop import laptop
from tests.length_rewarded import by_length
from tests.live_bytes import LiveBytes
from tests.real.test_numbers import SETTINGS

pytestmark = [pytest.mark.real, pytest.mark.long]


class Killed(Exception):
    pass


class _Mortal(Progress):
    """Ends the run at a step."""

    def __init__(self, die_at):
        super().__init__(None)
        self.die_at = die_at

    def update(self, step, total, **figures):
        if step == self.die_at:
            raise Killed


def _trained(real, folder, settings, engine, die_at=None):
    folder.mkdir(exist_ok=True)
    model = load_trained(real.folder, engine, 0)
    rows, _ = rl.train(
        model, real.tokenizer, _problems(settings), settings, template="qwen", seed=0,
        folder=folder, progress=_Mortal(die_at), engine=engine,
    )  # fmt: skip
    return [p.detach().clone() for p in model.parameters() if p.requires_grad], rows


def _problems(settings):
    count = settings.steps * settings.questions
    return list(islice(mini_world.build(0, 20, 20).train(0), count))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_rl_killed_and_resumed_reaches_the_same_bits(real, tmp_path, monkeypatch, precision):
    monkeypatch.setattr(rule_rewards, "accuracy", by_length)
    settings = dataclasses.replace(SETTINGS, steps=3, save_every=2, reference_sync_steps=2)
    engine = EngineConfig(precision=precision, lora_rank=0 if real.name == "smollm2" else 8)
    straight, rows = _trained(real, tmp_path / "a", settings, engine)
    with pytest.raises(Killed):
        _trained(real, tmp_path / "b", settings, engine, die_at=3)
    continued, again = _trained(real, tmp_path / "b", settings, engine)
    assert all(torch.equal(x, y) for x, y in zip(straight, continued, strict=True))
    assert [row["reward"] for row in rows] == [row["reward"] for row in again]
    mismatch = [row["logp_mismatch"] for row in rows]
    most = 1e-4 if precision == "float32" else doctor.MISMATCH
    assert 0 < max(mismatch) < most, mismatch


def test_fine_tuning_lowers_the_loss_and_is_saved_as_it_was(real, tmp_path):
    settings = laptop(
        SFTConfig, epochs=4, batch_size=4, rows_at_once=2, lr_matrices=1e-3, lr_rest=1e-3,
        log_every=1, save_every=99,
    )  # fmt: skip
    problems = list(islice(mini_world.build(0, 20, 20).train(0), 4))
    examples = [
        token_ids(real.tokenizer, templates.render("qwen", problem), "<answer>7</answer>")
        for problem in problems
    ]
    model = load_trained(real.folder, EngineConfig(), 0)
    rows = sft.fine_tune(
        model, real.tokenizer, examples, settings, seed=0, folder=tmp_path, progress=Progress(None)
    )
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    save_model(model, real.tokenizer, tmp_path / "model")
    again = load_model(tmp_path / "model").state_dict()
    assert all(torch.equal(again[name], p) for name, p in model.state_dict().items())
    assert load_tokenizer(tmp_path / "model").eos_token_id == real.tokenizer.eos_token_id


def test_fine_tuning_killed_and_resumed_reaches_the_same_bits(real, tmp_path):
    settings = laptop(
        SFTConfig, epochs=3, batch_size=4, rows_at_once=2, lr_matrices=1e-3, lr_rest=1e-3,
        log_every=1, save_every=2,
    )  # fmt: skip
    engine = EngineConfig(lora_rank=0 if real.name == "smollm2" else 8)
    problems = list(islice(mini_world.build(0, 20, 20).train(0), 4))
    examples = [
        token_ids(real.tokenizer, templates.render("qwen", one), f"<answer>{one.answer}</answer>")
        for one in problems
    ]

    def tuned(folder, die_at=None):
        model = load_trained(real.folder, engine, 0)
        rows = sft.fine_tune(
            model, real.tokenizer, examples, settings, seed=0, folder=folder,
            progress=_Mortal(die_at), engine=engine,
        )  # fmt: skip
        return [p.detach().clone() for p in model.parameters() if p.requires_grad], rows

    straight, rows = tuned(tmp_path / "a")
    with pytest.raises(Killed):
        tuned(tmp_path / "b", die_at=3)
    continued, again = tuned(tmp_path / "b")
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert all(torch.equal(x, y) for x, y in zip(straight, continued, strict=True))
    assert [row["loss"] for row in rows] == [row["loss"] for row in again]
    start = load_trained(real.folder, engine, 0).parameters()
    before = [p for p in start if p.requires_grad]
    assert not any(torch.equal(x, y) for x, y in zip(straight, before, strict=True))


@pytest.mark.parametrize("rank", [0, 8], ids=["whole", "LoRA"])
def test_memory_is_within_a_fifth_of_what_is_foretold(real, tmp_path, monkeypatch, rank):
    monkeypatch.setattr(rule_rewards, "accuracy", by_length)
    engine = EngineConfig("bfloat16", gradient_checkpointing=True, lora_rank=rank)
    settings = dataclasses.replace(
        SETTINGS, max_completion_tokens=40, micro_batch_tokens=2_000, save_every=10**6
    )
    problems = _problems(settings)
    trainer, _ = rl.build(
        load_trained(real.folder, engine, 0), real.tokenizer, problems, settings,
        template="qwen", seed=0, folder=tmp_path, engine=engine,
    )  # fmt: skip
    held = list(trainer.model.parameters())
    held += list(trainer.ref_model.parameters()) if trainer.ref_model is not None else []
    with LiveBytes(held) as live:
        trainer.train()
    prompt = max(
        len(real.tokenizer.encode(templates.render("qwen", problem))) for problem in problems
    )
    shape = AutoConfig.from_pretrained(real.folder)
    counts = memory.count(shape)
    needed = memory.grpo(shape, counts, settings, engine, 1, prompt)
    if rank == 0:  # on CPUs Newton-Schulz's four matrices are float32
        needed = dataclasses.replace(needed, step=needed.step + 4 * 2 * counts.largest)
    stored = {id(p): p.numel() * p.element_size() for p in held}
    assert needed.weights + needed.reference == sum(stored.values())
    assert needed.peak - needed.weights - needed.reference == pytest.approx(live.peak, rel=0.2)
