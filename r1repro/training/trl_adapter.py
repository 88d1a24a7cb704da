"""TRL's GRPOTrainer with our rollouts and micro-batches; all use of TRL internals is here.

Written for trl 1.14. TRL keeps the data, the schedule, the checkpoints, vLLM and the logging;
advantages and loss are those of objective.py. Rows are sorted by length and tightly padded, each
micro-batch has its own backward pass, and only completion tokens have logits.
"""

import inspect
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from trl import GRPOTrainer
from trl.generation.vllm_generation import VLLMGeneration
from trl.models.utils import _ForwardRedirection

from r1repro.config import PLAIN_OBJECTIVE, ObjectiveConfig
from r1repro.errors import R1ReproError
from r1repro.training import adapters, completion_steps, objective, resume, sharding
from r1repro.training.critic import Critic
from r1repro.training.kl import ESTIMATORS
from r1repro.training.logprobs import micro_batches, plain_head, token_logps
from r1repro.training.trl_sampling import importance_weights

REFERENCE = "reference.safetensors"
MISMATCH = "sampling/sampling_logp_difference/mean"
"""TRL's name for the mean absolute difference in log-probability of trainer and sampler."""
_ROWS = (
    "prompt_ids prompt_mask completion_ids completion_mask advantages old_per_token_logps "
    "ref_per_token_logps sampling_per_token_logps importance_sampling_ratio"
).split()


class PackedGRPOTrainer(GRPOTrainer):
    """GRPO trainer whose step is one pass over length-sorted micro-batches.

    variant: the objective; GRPO's by default.
    micro_batch_tokens: rows x padded length of a micro-batch.
    clock: called with (name, seconds) for "rollout", "reference" and "update".
    count: called once per step with the tokens that all processes read without and with gradients.
    """

    def __init__(
        self,
        *args: Any,
        micro_batch_tokens: int,
        clock: Callable[[str, float], None],
        count: Callable[[int, int], None],
        variant: ObjectiveConfig = PLAIN_OBJECTIVE,
        **kwargs: Any,
    ):
        super().__init__(*args, **kwargs)
        if isinstance(self.model, PeftModel) and self.beta > 0:
            self.add_callback(adapters.ReferenceSync())
        if isinstance(self.model, PeftModel) and self.use_vllm:
            # TRL merges and unmerges the adapters at every sync, which accumulates rounding errors.
            self.vllm_generation._iter_named_params = partial(adapters.whole_weights, self.model)
        self.variant = variant
        # TRL needs beta too, to load and evaluate the reference.
        self.loss_beta = self.beta if variant.kl_in == "loss" else 0.0
        self.micro_batch_tokens = micro_batch_tokens
        self.clock, self.count = clock, count
        self.read = {False: 0, True: 0}
        self.critic: Critic | None = None
        self.judge: completion_steps.Judge | None = None

    def training_step(
        self, model: torch.nn.Module, inputs: Any, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """One update from one batch: TRL's loss over micro-batches, weighted by rows."""
        started = time.perf_counter()
        model.train()
        batch = self._prepare_inputs(inputs)
        updating = time.perf_counter()
        metrics = self._metrics["train"]
        before = {name: len(values) for name, values in metrics.items()}
        total, tokens = torch.zeros((), device=self.accelerator.device), []
        micros = self._micro_batches(batch)
        for index, (micro, share) in enumerate(micros):
            last = index == len(micros) - 1
            # Reduce gradients once, with the last micro-batch. Sharded weights reduce every time,
            # since each process would otherwise hold full gradients until then.
            at_once = last or sharding.is_sharded(model)
            with nullcontext() if at_once else self.accelerator.no_sync(model):
                loss = self.compute_loss(model, micro) * share
                self.accelerator.backward(loss)
            total += loss.detach()
            tokens.append(micro["completion_mask"].sum())
        tokens = self.accelerator.reduce(torch.stack(tokens), "sum").tolist()
        for name, values in metrics.items():
            new = values[before.get(name, 0) :]
            if len(new) == len(tokens) > 1:
                # One value per step, token-weighted as in TRL's mean over all processes.
                mean = sum(v * n for v, n in zip(new, tokens, strict=True)) / max(sum(tokens), 1)
                values[before.get(name, 0) :] = [mean]
        if self.critic is not None:
            figures, learned = self.critic.learn(batch, self.state.global_step)
            self.read[True] += learned
            for name, value in figures.items():
                metrics[name].append(value)
        self._step += 1
        read = torch.tensor([*self.read.values()], device=self.accelerator.device)
        self.count(*self.accelerator.reduce(read, "sum").tolist())
        self.read = {False: 0, True: 0}
        finished = time.perf_counter()
        self.clock("update", finished - updating)
        metrics["step_time"].append(finished - started)
        return total

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        self.rewards = super()._calculate_rewards(*args, **kwargs)
        return self.rewards

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        """TRL's rollout and rewards, with advantages of completions or of tokens."""
        batch = super()._generate_and_score_completions(inputs)
        rewards_B = (self.rewards * self.reward_weights.to(self.rewards.device)).sum(1)
        if self.critic is not None:
            return batch | self._by_critic(self.critic, rewards_B, batch)
        if self.beta > self.loss_beta:
            rewards_B = self._less_kl(rewards_B, batch)
        kind, size, started = self.variant.advantage, self.num_generations, time.perf_counter()
        first = self.accelerator.process_index * len(inputs)
        own = slice(first, first + len(inputs))
        if kind != "process":
            batch["advantages"] = objective.advantages_of(rewards_B, size, kind)[own]
            return batch
        questions = [row["question"] for row in inputs]
        batch["advantages"], read = completion_steps.advantages(
            rewards_B[own], batch, self.processing_class, size, questions, self.judge
        )
        self.clock("reference", time.perf_counter() - started)
        self.read[False] += read
        return batch

    def _by_critic(
        self, critic: Critic, rewards_B: torch.Tensor, batch: dict[str, Any]
    ) -> dict[str, torch.Tensor]:
        """PPO's columns of the batch; also logs the KL per token (k1)."""
        both = None
        if self.beta > 0:
            own_B_T, reference_B_T = both = self._sampled_logps(batch), batch["ref_per_token_logps"]
            kl = objective.mean_of_tokens(own_B_T - reference_B_T, batch["completion_mask"])
            self._metrics["train"]["kl"].append(kl.item())
        started = time.perf_counter()
        columns, read = critic.credit(batch, rewards_B, both, self.beta, self.variant.lam)
        self.clock("reference", time.perf_counter() - started)
        self.read[False] += read
        return columns

    def _sampled_logps(self, batch: dict[str, Any]) -> torch.Tensor:
        """Log-probabilities of the completions under the policy that sampled them, (B, T)."""
        if batch.get("old_per_token_logps") is not None:
            return batch["old_per_token_logps"]
        with torch.no_grad():
            return self._logps(self.model, batch)[0]

    def _logps(
        self, model: torch.nn.Module, batch: dict[str, Any], **more: Any
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        ids_B_L, mask_B_L = (
            torch.cat([batch[f"prompt_{name}"], batch[f"completion_{name}"]], 1)
            for name in ("ids", "mask")
        )
        width = batch["completion_mask"].shape[1]
        return self._get_per_token_logps_and_entropies(model, ids_B_L, mask_B_L, width, **more)

    def _less_kl(self, rewards_B: torch.Tensor, batch: dict[str, Any]) -> torch.Tensor:
        """As `objective.less_kl`, over all processes; logs the KL per token from the same sums."""
        mask_B_T, estimator = batch["completion_mask"], ESTIMATORS[self.variant.kl]
        kl_B = objective.kl_of_completions(
            self._sampled_logps(batch), batch["ref_per_token_logps"], mask_B_T, estimator
        )
        sums = torch.stack([kl_B.sum(), mask_B_T.sum()])
        kl, tokens = self.accelerator.reduce(sums, "sum").tolist()
        self._metrics["train"]["kl"].append(kl / max(tokens, 1))
        return rewards_B - self.beta * self.accelerator.gather(kl_B)

    def _compute_loss(self, model: torch.nn.Module, inputs: dict[str, Any]) -> torch.Tensor:
        """objective.grpo_loss of a micro-batch; also logs means over its tokens."""
        mask_B_T = inputs["completion_mask"]
        logps_B_T, entropies_B_T, _ = self._logps(model, inputs, compute_entropy=True)
        # Absent if the policy has not changed since the rollout: it is its own old policy.
        old_logps_B_T = inputs.get("old_per_token_logps")
        if old_logps_B_T is None:
            old_logps_B_T = logps_B_T.detach()
        weights_B_T, mismatch_B_T = importance_weights(old_logps_B_T, inputs)
        loss = objective.grpo_loss(
            logps_B_T,
            old_logps_B_T,
            inputs.get("ref_per_token_logps"),
            inputs["advantages"],
            mask_B_T,
            self.epsilon_low,
            self.loss_beta,
            weights_B_T,
            ESTIMATORS[self.variant.kl],
            objective.mean_over(self.variant.normalization, self.max_completion_length),
        )
        assert entropies_B_T is not None
        logged = {"entropy": entropies_B_T, "clip_ratio/region_mean": loss.clipped_B_T}
        if loss.kl_B_T is not None:
            logged["kl"] = loss.kl_B_T
        if mismatch_B_T is not None:
            logged[MISMATCH] = mismatch_B_T
        sums = [(values * mask_B_T).sum() for values in logged.values()]
        sums = self.accelerator.reduce(torch.stack([*sums, mask_B_T.sum()]), "sum")
        for name, value in zip(logged, (sums[:-1] / sums[-1].clamp(min=1)).tolist(), strict=True):
            self._metrics["train"][name].append(value)
        return loss.value

    def _micro_batches(self, batch: dict[str, Any]) -> list[tuple[dict[str, Any], float]]:
        """(micro-batch for `_compute_loss`, its share of this process's mean) pairs."""
        prompts, completions = batch["prompt_mask"].sum(1), batch["completion_mask"].sum(1)
        total = len(prompts)
        rows_with_gradient = torch.arange(total, device=prompts.device)
        counted_B, whole = torch.ones_like(completions), float(total)
        if self.variant.normalization == "tokens":
            # A mean over the tokens of all processes, whose gradients are averaged.
            counted_B, tokens = completions, self.accelerator.reduce(completions.sum(), "sum")
            whole = max(1.0, int(tokens) / self.accelerator.num_processes)
        if self.loss_beta == 0.0:
            # Without the KL term in the loss, a row with zero advantage has no gradient.
            moved_B = (batch["advantages"].reshape(total, -1) != 0).any(1)
            some = moved_B.nonzero(as_tuple=True)[0]
            rows_with_gradient = some if len(some) else rows_with_gradient[:1]
        batches = []
        for chosen in micro_batches(
            prompts[rows_with_gradient], completions[rows_with_gradient], self.micro_batch_tokens
        ):
            rows = rows_with_gradient[chosen]
            p, t = int(prompts[rows].max()), int(completions[rows].max())
            there = (name for name in _ROWS if batch.get(name) is not None)
            micro = {name: _trim(batch[name][rows], name, p, t) for name in there}
            micro["num_items_in_batch"] = batch["num_items_in_batch"]
            batches.append((micro, int(counted_B[rows].sum()) / whole))
        # TRL's loss gathers across processes in every call, so processes with fewer micro-batches
        # add fully masked ones.
        first = batches[0][0]
        empty = {**first, "completion_mask": torch.zeros_like(first["completion_mask"])}
        return batches + [(empty, 0.0)] * (self._most(len(batches)) - len(batches))

    def _most(self, count: int) -> int:
        """Maximum of `count` over processes."""
        counts = torch.tensor([count], device=self.accelerator.device)
        return int(self.accelerator.gather(counts).max())

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        # Called with vLLM only; our sampler, in `rollout_func`, measures its own time.
        started = time.perf_counter()
        result = super()._generate_single_turn(*args, **kwargs)
        self.clock("rollout", time.perf_counter() - started)
        return result

    def _get_per_token_logps_and_entropies(
        self, model: torch.nn.Module, *args: Any, batch_size: int | None = None, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        learning = torch.is_grad_enabled()
        if not plain_head(self.accelerator.unwrap_model(model)):
            self.read[learning] += int(args[1].sum())
            return super()._get_per_token_logps_and_entropies(
                model, *args, batch_size=batch_size, **kwargs
            )
        started, (ids, mask, width) = time.perf_counter(), args
        with_entropy = kwargs.get("compute_entropy", False)
        logps, entropies = self._packed(model, ids, mask, width, with_entropy)
        if not learning:
            self.clock("reference", time.perf_counter() - started)
        return logps, entropies, None

    def _packed(
        self, model: torch.nn.Module, ids: Any, mask: Any, width: int, with_entropy: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Log-probabilities and entropies, (B, `width`), by micro-batches of similar length."""
        # DDP and FSDP exchange gradients and weights in the wrapper around the model's forward.
        unwrapped, sharded = self.accelerator.unwrap_model(model), sharding.is_sharded(model)
        shared = unwrapped is not model or sharded
        redirected = partial(_ForwardRedirection(), model, unwrapped, token_logps)
        policy, split = adapters.inner(unwrapped), ids.shape[1] - width
        backbone, head = policy.base_model, policy.get_output_embeddings()
        completions = mask[:, split:].sum(1)
        kind = torch.promote_types(unwrapped.dtype, torch.float32)
        logps = torch.zeros(len(ids), width, device=ids.device, dtype=kind)
        entropies = torch.zeros_like(logps) if with_entropy else None
        batches = micro_batches(mask[:, :split].sum(1), completions, self.micro_batch_tokens)
        own = len(batches)
        if shared:
            batches += [batches[0]] * (self._most(own) - own)
        for index, rows in enumerate(batches):
            p, t = int(mask[rows, :split].sum(1).max()), max(1, int(completions[rows].max()))
            columns = slice(split - p, split + t)
            with self.accelerator.autocast():
                part, entropy, read = (redirected if shared else token_logps)(
                    backbone, head, ids[rows, columns], mask[rows, columns], t, self.temperature,
                    with_entropy, not sharding.is_sharded(unwrapped),
                )  # fmt: skip
            # Passes added to match other processes do not count towards the cost.
            if index < own and completions.any():
                self.read[torch.is_grad_enabled()] += read
            logps = logps.index_put((rows[:, None], torch.arange(t, device=ids.device)), part)
            if entropies is not None and entropy is not None:
                entropies[rows, :t] = entropy
        return logps, entropies

    def _kept(self) -> dict[str, torch.nn.Parameter]:
        """The weights to keep with TRL's checkpoints: they lack a synced reference, and of two
        adapters TRL would load only one."""
        if isinstance(self.model, PeftModel):
            names = tuple(f".{name}." for name in (adapters.TRAINED, adapters.REFERENCE))
            parameters = self.model.named_parameters()
            return {n: p for n, p in parameters if any(name in n for name in names)}
        if self.ref_model is None:
            return {}
        return dict(self.accelerator.unwrap_model(self.ref_model).named_parameters())

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        folder = Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"
        resume.save_weights(folder / REFERENCE, self._kept().items(), self.args.should_save)
        if self.critic is not None:
            self.critic.save(folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if not isinstance(self.model, PeftModel):
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        if self.critic is not None:
            self.critic.load(Path(resume_from_checkpoint))
        kept, path = self._kept(), Path(resume_from_checkpoint) / REFERENCE
        if not kept:
            return
        if not path.is_file():
            raise R1ReproError(
                f"checkpoint {path.parent.name} has no {REFERENCE}, so training cannot resume from "
                "it; delete the checkpoint to start again"
            )
        resume.load_weights(path, kept.items())


_CALLERS = (
    "_prepare_inputs _generate_and_score_completions _generate compute_loss _compute_loss"
).split()
"""TRL methods that call the overrides above or are called by them through super()."""
_HANDING_OVER = ("sync_weights", "_iter_named_params")
"""Methods of TRL's VLLMGeneration that send weights to vLLM."""
_WRITTEN_IN = ("trl.trainer.", "trl.generation.", "transformers.trainer", "r1repro.")


def check_overrides() -> None:
    """Raise R1ReproError if another library has patched the methods that our trainer relies on.

    Our overrides would then be bypassed or called in the wrong place without an error.
    """
    ours = [n for n in vars(PackedGRPOTrainer) if callable(getattr(GRPOTrainer, n, None))]
    kinds = (PackedGRPOTrainer, GRPOTrainer)
    methods = [("GRPOTrainer", kind, n) for n in (*_CALLERS, *ours) for kind in kinds]
    methods += [("VLLMGeneration", VLLMGeneration, n) for n in _HANDING_OVER]
    for whose, kind, name in methods:
        method = inspect.unwrap(getattr(kind, name))
        where = getattr(method, "__globals__", {}).get("__name__", "")
        if name != "__init__" and not where.startswith(_WRITTEN_IN):
            raise R1ReproError(
                f"engine.unsloth=true patches TRL's {whose} ({name}), but GRPO here needs TRL's "
                "own methods; set engine.unsloth=false, which works with engine.lora_rank and "
                "engine.precision=bfloat16"
            )


def _trim(values: torch.Tensor, name: str, p: int, t: int) -> torch.Tensor:
    if values.ndim == 1:
        return values
    return values[:, values.shape[1] - p :] if name.startswith("prompt") else values[:, :t]
