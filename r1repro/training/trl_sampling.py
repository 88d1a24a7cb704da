"""Rollouts of GRPO: completions sampled from the policy by our sampler, or by vLLM through TRL."""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast, TrainerCallback
from trl import GRPOTrainer

from r1repro.config import EngineConfig, RLConfig
from r1repro.generation.rollouts import Sampling, ends, sample
from r1repro.training import adapters, objective, sharding


def rollouts(
    tokenizer: PreTrainedTokenizerFast,
    settings: RLConfig,
    seed: int,
    clock: Callable[[str, float], None],
    engine: EngineConfig,
) -> Callable[[list[str], Any], dict[str, Any]]:
    """TRL's `rollout_func` with our sampler: one completion per prompt, seeded by the step.

    Up to rounding, completions depend neither on the number of processes nor on that of rows
    sampled at a time.
    """

    def roll(prompts: list[str], trainer: Any) -> dict[str, Any]:
        started = time.perf_counter()
        # TRL repeats a prompt for its whole group; encode it once.
        encoded = {text: tokenizer.encode(text) for text in dict.fromkeys(prompts)}
        prompt_ids = [encoded[text] for text in prompts]
        accelerator, parts = trainer.accelerator, settings.rollout_parts(len(prompt_ids))
        policy = accelerator.unwrap_model(trainer.model)
        sampling = Sampling(settings.cap(trainer.state.global_step), settings.temperature)
        size, completions = len(prompt_ids) // parts, []
        with _to_sample(policy, engine) as sampled:
            for part in range(parts):
                completions += sample(
                    sampled, prompt_ids[part * size : (part + 1) * size], sampling,
                    end_ids=ends(policy, tokenizer), pad_id=tokenizer.pad_token_id,
                    seed=(seed * 1_000_003 + trainer.state.global_step) * 1_009,
                    part=(accelerator.process_index * parts + part,
                          accelerator.num_processes * parts),
                    with_logps=True,
                )  # fmt: skip
        clock("rollout", time.perf_counter() - started)
        return {
            "prompt_ids": prompt_ids,
            "completion_ids": [completion.token_ids for completion in completions],
            "logprobs": [completion.logps for completion in completions],
        }

    return roll


@contextmanager
def _to_sample(policy: PreTrainedModel, engine: EngineConfig) -> Iterator[PreTrainedModel]:
    """The policy in engine.precision: itself, or a copy freed after the rollouts.

    Adapters are merged meanwhile, except into 4-bit weights. Sharded weights are copied too, since
    processes make different numbers of forward passes here.
    """
    model, precision = adapters.inner(policy), getattr(torch, engine.precision)
    if sharding.is_sharded(policy):
        yield sharding.whole(policy, precision, policy.device)
        return
    if engine.lora_rank or precision == torch.float32:
        with nullcontext() if engine.quantized else adapters.merged(model):
            yield model
        return
    # Passing these to deepcopy as its memo avoids a second float32 copy.
    weights: dict[int, Any] = {
        id(p): torch.nn.Parameter(p.detach().to(precision), requires_grad=False)
        for p in model.parameters()
    }
    twin = copy.deepcopy(model, weights)
    try:
        yield twin
    finally:
        # accelerate's forward puts the module in a reference cycle, so its memory is freed here.
        for parameter in twin.parameters():
            parameter.data = parameter.data.new_empty(0)


class RisingCap(TrainerCallback):
    """Sets the step's cap in TRL: for vLLM, and as the length in normalization "cap"."""

    def __init__(self, trainer: GRPOTrainer, settings: RLConfig):
        self.trainer, self.settings = trainer, settings

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer.max_completion_length = cap = self.settings.cap(state.global_step)
        if self.trainer.use_vllm:
            self.trainer.vllm_generation.max_completion_length = cap


def vllm_arguments(
    engine: EngineConfig,
    settings: RLConfig,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[str],
) -> dict[str, Any]:
    """TRL's arguments for vLLM: server, maximum sequence length, importance-ratio clip."""
    longest = max(len(ids) for ids in tokenizer(list(prompts))["input_ids"])
    on_server = engine.rollouts == "vllm_server"
    return dict(
        use_vllm=True,
        vllm_mode="server" if on_server else "colocate",
        vllm_server_base_url=engine.vllm_server if on_server else None,
        vllm_max_model_length=longest + settings.last_cap,
        vllm_importance_sampling_mode="token_truncate",
        vllm_importance_sampling_clip_max=objective.MISMATCH_CAP,
        generation_kwargs={"stop_token_ids": ends(model, tokenizer)},
    )


def importance_weights(
    old_logps_B_T: torch.Tensor, inputs: dict[str, Any]
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Importance weights of the tokens, and their mismatch; None for vLLM, where TRL logs it."""
    sampled_logps_B_T = inputs.get("sampling_per_token_logps")
    if "importance_sampling_ratio" in inputs or sampled_logps_B_T is None:
        return inputs.get("importance_sampling_ratio"), None
    weights_B_T = objective.truncated_weights(old_logps_B_T, sampled_logps_B_T)
    return weights_B_T, (old_logps_B_T - sampled_logps_B_T).abs()
