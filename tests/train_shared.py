"""`python -m tests.train_shared BASE OUT`: a few steps of every training, by many processes.

Of the whole model, of adapters on it, and with the weights shared out where there are several
processes. accelerate shares them out among GPUs only, so there the CPUs are called such.
"""

import dataclasses
import os
import sys
from pathlib import Path

import pandas as pd
import torch
from accelerate import PartialState
from accelerate.utils import DistributedType
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

from r1repro.artifacts import Progress
from r1repro.config import PLAIN_ENGINE, EngineConfig, RewardModelConfig, SFTConfig
from r1repro.rewards import rule_rewards
from r1repro.stages.models import load_tokenizer, load_trained, new_reward_model, save_model
from r1repro.training import adapters, reward_model, sft, sharding
from tests.laptop import laptop
from tests.length_rewarded import by_length
from tests.training.test_grpo_objective import SETTINGS, Killed, trained

ADAPTERS, SHARDED = EngineConfig(lora_rank=4), EngineConfig(sharded=True)
IN_BFLOAT16 = dataclasses.replace(SHARDED, precision="bfloat16", gradient_checkpointing=True)
EXAMPLES = [([5, 6, 7], [*range(8, 8 + n), 2]) for n in range(1, 15)]


def main(base: Path, out: Path) -> None:
    rule_rewards.accuracy = rule_rewards.accuracy_in_tag = by_length
    for method in (grpo, fine_tuning, preference):
        _write(out, method, "whole", *method(base, out, PLAIN_ENGINE))
    _write(out, grpo, "adapters", *grpo(base, out, ADAPTERS))
    apart = untied(base, out / "untied")
    _write(out, fine_tuning, "untied-whole", *fine_tuning(apart, out, PLAIN_ENGINE))
    if sharding.processes() == 1:
        return
    os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
    PartialState._prepare_backend = lambda *_: ("gloo", DistributedType.MULTI_GPU)
    for method in (grpo, fine_tuning, preference):
        _write(out, method, "sharded", *method(base, out, SHARDED))
    _write(out, fine_tuning, "untied", *fine_tuning(apart, out, SHARDED))
    try:
        grpo(base, out, SHARDED, name="continued", die_at=3)
    except Killed:
        _write(out, grpo, "continued", *grpo(base, out, SHARDED, name="continued"))
    _write(out, fine_tuning, "bfloat16", *fine_tuning(base, out, IN_BFLOAT16))


def grpo(base, out, engine, name=None, die_at=None):
    settings = dataclasses.replace(
        SETTINGS, steps=3, steps_per_generation=1, save_every=2, reference_sync_steps=2
    )
    models = []
    folder = out / (name or f"grpo-{engine.lora_rank}-{engine.sharded}")
    _, rows, _ = trained(
        base, load_tokenizer(base), folder, settings, die_at, engine, models.append
    )
    return weights_of(models[0], engine), rows


def fine_tuning(base, out, engine):
    """Fourteen examples in batches of four: the last one is not whole."""
    settings = laptop(
        SFTConfig, epochs=1, batch_size=4, lr_matrices=1e-3, lr_rest=1e-3, log_every=1
    )
    model, tokenizer = load_trained(base, engine, 0), load_tokenizer(base)
    more = dict(
        seed=0,
        folder=out / f"sft-{base.name}-{engine.sharded}-{engine.precision}",
        progress=Progress(None),
    )
    rows = sft.fine_tune(model, tokenizer, EXAMPLES, settings, engine=engine, **more)
    return weights_of(model, engine), rows


def preference(base, out, engine):
    """Two batches of four pairs."""
    settings = laptop(RewardModelConfig, batch_size=4, epochs=1, lr_matrices=1e-3, lr_rest=1e-3)
    settings = dataclasses.replace(settings, log_every=1)
    model, tokenizer = new_reward_model(base, engine, 0), load_tokenizer(base)
    model.config.pad_token_id = tokenizer.pad_token_id
    pairs = [(said, prompt) for prompt, said in EXAMPLES[:8]]
    more = dict(seed=0, folder=out / f"preference-{engine.sharded}", progress=Progress(None))
    rows = reward_model.train(model, tokenizer, pairs, settings, engine=engine, **more)
    return weights_of(model, engine), rows


def untied(base, place):
    """A model like the base with a head of its own, which is shared out apart from the table."""
    torch.manual_seed(0)
    shape = AutoConfig.from_pretrained(base, tie_word_embeddings=False)
    model = AutoModelForCausalLM.from_config(shape)
    save_model(model, load_tokenizer(base), place, sharding.rank() == 0)
    sharding.wait()
    return place


def weights_of(model, engine):
    """Of a model that was really shared out, where it should have been."""
    if engine.sharded:
        here = sum(p.to_local().numel() for p in model.parameters())
        assert here < 0.6 * sum(p.numel() for p in model.parameters())
    return {n: p.detach().clone() for n, p in adapters.whole(model).named_parameters()}


def _write(out, method, name, weights, rows):
    where = f"{method.__name__}-{name}-{sharding.rank()}"
    pd.DataFrame(rows).to_parquet(out / f"rows-{where}.parquet")
    save_file(weights, out / f"weights-{where}.safetensors")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
