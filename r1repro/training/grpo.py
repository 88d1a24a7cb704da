"""GRPO on TRL for every RL stage: settings, rollouts and metrics.

The objective is DeepSeekMath Eq. 3 with the k3 estimator of the KL term, Eq. 4, in the loss. The
advantage is TRL's, (r - mean) / (std + 1e-4) with the sample standard deviation. The reference
model is replaced by the policy every `reference_sync_steps` (R1 v2, section 2.1).
"""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from accelerate.utils import gather_object
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerFast, TrainerCallback
from transformers.trainer_callback import PrinterCallback
from trl import GRPOConfig

from r1repro.artifacts import Progress
from r1repro.config import PLAIN_ENGINE, EngineConfig, RLConfig
from r1repro.errors import R1ReproError
from r1repro.generation.sampler import Rollout, Sampling, ends, sample
from r1repro.rewards import rules
from r1repro.rewards.accuracy import judge, stated_answer, timeouts
from r1repro.tasks import templates
from r1repro.tasks.problem import GENERAL, Problem
from r1repro.text.language import language_share
from r1repro.text.reflection import reflection_count
from r1repro.text.tags import thinking
from r1repro.training import adapters, flops, objective, sharding
from r1repro.training.checkpoints import COMPLETE, newest_checkpoint
from r1repro.training.optimizer import MuonWithAdamW
from r1repro.training.trl_adapter import PackedGRPOTrainer, check_overrides

WARMUP_STEPS = 5
HELD = 0.6
"""Share of the steps before the learning rate decays."""
PLATEAU_WINDOW, PLATEAU_GAIN = 40, 0.005
"""RL stops at a plateau: at the first step where the mean pass@1 of the last 40 steps is less than
half a point above that of the 40 steps before."""
MISMATCH_CAP = 2.0
"""Upper clip of the truncated importance ratio between trainer and vLLM (Ionides 2008)."""


def trainer_arguments(
    settings: RLConfig,
    seed: int,
    folder: Path,
    engine: EngineConfig = PLAIN_ENGINE,
    **more: Any,
) -> GRPOConfig:
    """TRL's arguments for the DeepSeekMath objective, which is not TRL's default."""
    on_cpu = not torch.cuda.is_available()
    rows = settings.questions * settings.generations // sharding.processes()
    arguments = GRPOConfig(
        output_dir=str(folder / "checkpoints"),
        loss_type="grpo",
        scale_rewards="group",
        importance_sampling_level="token",
        use_bias_correction_kl=False,
        beta=settings.beta,
        epsilon=settings.epsilon,
        temperature=settings.temperature,
        num_generations=settings.generations,
        max_completion_length=settings.max_completion_tokens,
        reward_weights=list(weights(settings).values()),
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=1,
        steps_per_generation=settings.steps_per_generation,
        num_iterations=settings.objective.passes,
        max_steps=settings.steps,
        learning_rate=settings.lr_matrices,
        max_grad_norm=1.0,
        # TRL does not synchronize adapters; PackedGRPOTrainer does.
        sync_ref_model=settings.beta > 0 and engine.lora_rank == 0,
        ref_model_sync_steps=settings.reference_sync_steps,
        ref_model_mixup_alpha=1.0,
        shuffle_dataset=False,
        seed=seed,
        # for the reference, which TRL loads itself
        model_init_kwargs=None
        if engine.attention == "sdpa"
        else {"attn_implementation": engine.attention},
        use_cpu=on_cpu,
        bf16=engine.precision == "bfloat16",
        gradient_checkpointing=engine.gradient_checkpointing,
        logging_steps=1,
        save_strategy="steps",
        save_steps=settings.save_every,
        # Keep the previous checkpoint until the new one is complete.
        save_total_limit=2,
        report_to=engine.report_to,
        run_name=folder.name,
        project="r1repro",
        disable_tqdm=True,
        **sharding.arguments(engine),
        **more,
    )
    sharding.keep_float32(arguments, engine)
    return arguments


Preference = Callable[..., list[float]]
"""A learned reward with the signature of the rule rewards."""


def weights(settings: RLConfig) -> dict[str, float]:
    """Reward weights by name; accuracy and format are always measured, even at weight 0."""
    paid = {
        "accuracy": settings.accuracy_weight,
        "format": settings.format_weight,
        "language": settings.language_weight,
        "preference": settings.preference_weight,
    }
    return {n: w for n, w in paid.items() if w > 0 or n in ("accuracy", "format")}


def rule_of(name: str, settings: RLConfig) -> Callable[..., list[float]]:
    """The reward function for a name in `weights`."""
    if settings.format_of_right and name in ("accuracy", "format"):
        name = {"accuracy": "accuracy_in_tag", "format": "format_of_right"}[name]
    return getattr(rules, name)


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    problems: Sequence[Problem],
    settings: RLConfig,
    *,
    template: str,
    seed: int,
    folder: Path,
    progress: Progress,
    preference: Preference | None = None,
    budget: float | None = None,
    permuted: bool = False,
    plateau: bool = False,
    engine: EngineConfig = PLAIN_ENGINE,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Train `model` in place; returns (one metrics row per step, completions kept during training).

    Asks `problems` in order, `settings.questions` per step. Resumes from the newest checkpoint in
    `folder` and ends with the same weights as an uninterrupted run. The model must have been loaded
    from a folder, since the reference is loaded from there. Raises R1ReproError if training ends
    early.
    budget: in FLOPs; saves the policy to `folder`/equal_flops after the first step that exceeds it,
        or at the end.
    permuted: control run that permutes rewards within each group.
    plateau: stop at a plateau of pass@1, at the latest after settings.steps.
    """
    trainer, recorder = build(
        model, tokenizer, problems, settings, template=template, seed=seed, folder=folder,
        preference=preference, engine=engine,
    )  # fmt: skip
    recorder.permuted = seed if permuted else None
    recorder.progress, recorder.budget, recorder.plateau = progress, budget, plateau
    recorder.kept = folder / flops.EQUAL_FLOPS
    newest = newest_checkpoint(folder)
    if newest is not None:
        recorder.restore(newest)
    trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    if trainer.state.global_step != settings.steps and not recorder.at_plateau():
        raise R1ReproError(
            f"GRPO ended after {trainer.state.global_step} of {settings.steps} steps, so its "
            "weights are incomplete; delete the stage's work folder and run it again"
        )
    return recorder.rows, recorder.samples


def build(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    problems: Sequence[Problem],
    settings: RLConfig,
    *,
    template: str,
    seed: int,
    folder: Path,
    preference: Preference | None = None,
    engine: EngineConfig = PLAIN_ENGINE,
) -> tuple[PackedGRPOTrainer, "Recorder"]:
    """The trainer that `train` runs, and the recorder of its metrics."""
    if engine.unsloth:
        check_overrides()
    recorder = Recorder(settings, tokenizer, model, preference)
    optimizer = MuonWithAdamW(model, settings.lr_matrices, settings.lr_rest)
    prompts = [templates.render(template, problem) for problem in problems]
    own = engine.rollouts == "own"
    more = {} if own else vllm_arguments(engine, settings, model, tokenizer, prompts)
    trainer = PackedGRPOTrainer(
        model=model,
        args=trainer_arguments(settings, seed, folder, engine, **more),
        reward_funcs=recorder.reward_functions(),
        train_dataset=Dataset.from_list(
            [
                {"prompt": prompt, **rules.columns_of(problem)}
                for prompt, problem in zip(prompts, problems, strict=True)
            ]
        ),
        processing_class=tokenizer,
        rollout_func=rollouts(tokenizer, settings, seed, recorder.clock, engine) if own else None,
        micro_batch_tokens=settings.micro_batch_tokens,
        variant=settings.objective,
        clock=recorder.clock,
        count=recorder.count,
    )
    # Set after construction: TRL rejects these arguments for sharded weights.
    trainer.optimizer = optimizer
    trainer.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: schedule(step, settings.steps)
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(recorder)
    return trainer, recorder


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
        vllm_max_model_length=longest + settings.max_completion_tokens,
        vllm_importance_sampling_mode="token_truncate",
        vllm_importance_sampling_clip_max=MISMATCH_CAP,
        generation_kwargs={"stop_token_ids": ends(model, tokenizer)},
    )


def schedule(step: int, steps: int) -> float:
    """Learning-rate factor before update `step` (from 0): warm-up, constant, linear decay to a
    tenth."""
    decayed = max(0.0, (step / steps - HELD) / (1 - HELD))
    return min(1.0, (step + 1) / WARMUP_STEPS) * (1 - 0.9 * decayed)


def is_plateau(pass_at_1: Sequence[float]) -> bool:
    """Whether mean pass@1 gained less than PLATEAU_GAIN over the window before."""
    last = pass_at_1[-PLATEAU_WINDOW:]
    before = pass_at_1[-2 * PLATEAU_WINDOW : -PLATEAU_WINDOW]
    return len(before) == PLATEAU_WINDOW and np.mean(last) < np.mean(before) + PLATEAU_GAIN


def rollouts(
    tokenizer: PreTrainedTokenizerFast,
    settings: RLConfig,
    seed: int,
    clock: Callable[[str, float], None],
    engine: EngineConfig = PLAIN_ENGINE,
) -> Callable[[list[str], Any], dict[str, Any]]:
    """TRL's `rollout_func` with our sampler: one completion per prompt, seeded by the step.

    Up to rounding, completions depend neither on the number of processes nor on the number of rows
    sampled at a time.
    """
    sampling = Sampling(settings.max_completion_tokens, settings.temperature)

    def roll(prompts: list[str], trainer: Any) -> dict[str, Any]:
        started = time.perf_counter()
        # TRL repeats a prompt for its whole group; encode it once.
        encoded = {text: tokenizer.encode(text) for text in dict.fromkeys(prompts)}
        prompt_ids = [encoded[text] for text in prompts]
        step = trainer.state.global_step
        policy = trainer.accelerator.unwrap_model(trainer.model)
        accelerator, parts = trainer.accelerator, settings.rollout_parts(len(prompt_ids))
        size = len(prompt_ids) // parts
        completions: list[Rollout] = []
        with _to_sample(policy, engine) as sampled:
            for part in range(parts):
                completions += sample(
                    sampled,
                    prompt_ids[part * size : (part + 1) * size],
                    sampling,
                    end_ids=ends(policy, tokenizer),
                    pad_id=tokenizer.pad_token_id,
                    seed=(seed * 1_000_003 + step) * 1_009,
                    part=(
                        accelerator.process_index * parts + part,
                        accelerator.num_processes * parts,
                    ),
                )
        clock("rollout", time.perf_counter() - started)
        ids = [rollout.token_ids for rollout in completions]
        return {"prompt_ids": prompt_ids, "completion_ids": ids, "logprobs": None}

    return roll


@contextmanager
def _to_sample(policy: PreTrainedModel, engine: EngineConfig) -> Iterator[PreTrainedModel]:
    """The policy in engine.precision: itself, or a copy freed after the rollouts.

    Sharded weights are copied too, since processes make different numbers of forward passes here.
    """
    model = adapters.inner(policy)
    precision = getattr(torch, engine.precision)
    if sharding.is_sharded(policy):
        yield sharding.whole(policy, precision, policy.device)
        return
    if engine.lora_rank or precision == torch.float32:
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
        # accelerate's forward puts the module in a reference cycle; free its memory now
        for parameter in twin.parameters():
            parameter.data = parameter.data.new_empty(0)


def within_groups(rows: int, size: int, seeds: tuple[int, int], process: int = 0) -> list[int]:
    """A permutation of a process's rows within groups of `size` adjacent rows.

    Each group's permutation depends on the seed, the step and the group's index in the global
    batch, not on the number of processes. All reward functions use the same one, so each row gets
    the rewards of one other row. Group means and deviations do not change, and a group with equal
    rewards still has zero advantage.
    """
    groups = rows // size  # exact: `questions` is a multiple of the processes
    return [
        group * size + int(row)
        for group in range(groups)
        for row in np.random.default_rng((*seeds, process * groups + group)).permutation(size)
    ]


class Recorder(TrainerCallback):
    """Records metrics, sample completions and timings of each step.

    The reward functions see every completion, so completions are measured there.
    """

    def __init__(
        self,
        settings: RLConfig,
        tokenizer: PreTrainedTokenizerFast,
        model: PreTrainedModel,
        preference: Preference | None = None,
    ):
        self.settings, self.tokenizer = settings, tokenizer
        self.parameters, self.ends = model.num_parameters(), ends(model, tokenizer)
        self.moved = model.num_parameters(only_trainable=True)
        self.progress, self.preference = Progress(None), preference
        self.budget: float | None = None
        self.permuted: int | None = None
        self.plateau = False
        self.kept = Path()
        self.rows: list[dict[str, Any]] = []
        self.samples: list[dict[str, Any]] = []
        self.seconds: dict[str, float] = {}
        self.read = (0, 0)
        self.batch: pd.DataFrame | None = None
        self.before = 0.0
        self.started = time.perf_counter()

    def clock(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def count(self, judged: int, learned: int) -> None:
        """Tokens the step read without gradients (mostly by the reference) and with gradients."""
        self.read = judged, learned

    def reward_functions(self) -> list[Callable[..., list[float]]]:
        """One TRL reward function per entry of `weights`."""
        names = list(weights(self.settings))
        return [self._reward(name, name == names[0], name == names[-1]) for name in names]

    def _reward(self, name: str, first: bool, last: bool) -> Callable[..., list[float]]:
        def paid(completions: list[str], **columns: Any) -> list[float]:
            prompts = columns["prompts"]
            completions = [
                templates.begun(p) + text for p, text in zip(prompts, completions, strict=True)
            ]
            if first:
                self.batch = self._measured(completions, columns)
            assert self.batch is not None
            rule = self.preference if name == "preference" else rule_of(name, self.settings)
            if rule is None:
                raise R1ReproError(
                    "preference_weight is above 0 without a reward model; pass one or set it to 0"
                )
            rewards = rule(completions, **columns)
            if self.permuted is not None:
                step, size = columns["trainer_state"].global_step, self.settings.generations
                order = within_groups(len(rewards), size, (self.permuted, step), sharding.rank())
                rewards = [rewards[i] for i in order]
            self.batch[f"reward_{name}"] = rewards
            if last:  # all processes' rows, in batch order
                self.batch = pd.concat(gather_object([self.batch]), ignore_index=True)
            return rewards

        paid.__name__ = name
        return paid

    def _measured(self, completions: list[str], columns: dict[str, Any]) -> pd.DataFrame:
        ids, problems = columns["completion_ids"], rules.problems_of(columns)
        lengths = {text: len(self.tokenizer.encode(text)) for text in set(columns["prompts"])}
        before = timeouts()
        correct = judge(problems, completions)
        return pd.DataFrame(
            {
                "problem_id": columns["problem_id"],
                "task": columns["task"],
                "language": columns["language"],
                "level": columns["level"],
                "prompt": columns["question"],
                "answer": columns["gold"],
                "text": completions,
                "correct": correct,
                # this process's count, on its first row
                "timeouts": [timeouts() - before] + [0] * (len(problems) - 1),
                "unparseable": [
                    stated_answer(problem, text) is None
                    for problem, text in zip(problems, completions, strict=True)
                ],
                "format_valid": [reward == 1.0 for reward in rules.format(completions)],
                "tokens": [len(row) for row in ids],
                "prompt_tokens": [lengths[text] for text in columns["prompts"]],
                "finished": [bool(row) and row[-1] in self.ends for row in ids],
            }
        )

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if logs is None or "entropy" not in logs:
            return
        batch = self.batch
        assert batch is not None
        # With several updates per rollout, only the first one samples.
        fresh = "rollout" in self.seconds
        step, settings = state.global_step, self.settings
        paid = weights(settings)
        reward = sum((w * batch[f"reward_{name}"] for name, w in paid.items()), 0 * batch.tokens)
        reasoning = batch[~batch.task.isin(GENERAL)]
        general = batch[batch.task.isin(GENERAL)]
        prompts, generated = batch.prompt_tokens.sum(), batch.tokens.sum()
        judged, learned = self.read
        spent = flops.trained(self.parameters, self.moved, learned)
        spent += flops.forward(self.parameters, judged)
        if fresh:  # the sampler prefills a prompt once per group
            spent += flops.forward(self.parameters, prompts / settings.generations + generated)
        row = {
            "step": step,
            "reward": reward.mean(),
            "reward_deviation": reward.std(),
            **{f"reward_{name}": batch[f"reward_{name}"].mean() for name in paid},
            "pass_at_1": reasoning.correct.mean(),
            "general_correct": general.correct.mean() if len(general) else None,
            "preference": general.reward_preference.mean()
            if len(general) and "preference" in paid
            else None,
            "format_valid": batch.format_valid.mean(),
            "unparseable": reasoning.unparseable.mean(),
            "entropy": logs.get("entropy"),
            "kl": logs.get("kl"),
            # mean absolute log-prob difference between vLLM and trainer, nats per token
            "logp_mismatch": logs.get("sampling/sampling_logp_difference/mean"),
            "clip_fraction": logs.get("clip_ratio/region_mean"),
            "clipped_completions": logs.get("completions/clipped_ratio"),
            "zero_variance_groups": logs.get("frac_reward_zero_std"),
            "length": batch.tokens.mean(),
            "length_correct": batch.tokens[batch.correct].mean(),
            "length_wrong": batch.tokens[~batch.correct].mean(),
            "reflection": batch.text.map(reflection_count).mean(),
            "language_share": _language_share(batch),
            "verifier_timeouts": batch.timeouts.sum() if fresh else 0,
            "lr": logs.get("learning_rate"),
            "grad_norm": logs.get("grad_norm"),
            "tokens_per_s": batch.tokens.sum() / self.seconds["rollout"] if fresh else None,
            "seconds_rollout": self.seconds.get("rollout", 0.0),
            "seconds_reference": self.seconds.get("reference", 0.0),
            "seconds_update": self.seconds.get("update", 0.0),
            "seconds": self.before + time.perf_counter() - self.started,
            "flops": (self.rows[-1]["flops"] if self.rows else 0.0) + spent,
        }
        self.rows.append({name: None if v is None else float(v) for name, v in row.items()})
        self.rows[-1]["step"] = step
        self.seconds = {}
        if self.at_plateau():
            control.should_training_stop = True
        if fresh and (step == 1 or step % settings.sample_every == 0):
            rewards_B = torch.tensor(reward.to_numpy())
            kind = settings.objective.advantage
            advantages_B = objective.advantages_of(rewards_B, settings.generations, kind)
            batch["advantage"] = advantages_B.numpy()
            kept = batch.groupby("problem_id", sort=False).head(1).assign(step=step, reward=reward)
            self.samples += kept.to_dict("records")
        last = step == settings.steps
        spent_all = self.budget is not None and (row["flops"] >= self.budget or last)
        if spent_all and not self.kept.exists():
            self._keep(kwargs["model"])
        self.progress.update(
            step,
            settings.steps,
            **{
                "pass@1": row["pass_at_1"],
                "format": row["format_valid"],
                "length": row["length"],
                **({"tokens/s": row["tokens_per_s"]} if fresh else {}),
            },
        )

    def at_plateau(self) -> bool:
        """Whether RL stops at a plateau here."""
        return self.plateau and is_plateau([row["pass_at_1"] for row in self.rows])

    def _keep(self, model: PreTrainedModel) -> None:
        plain = adapters.whole(getattr(model, "module", model), wanted=self.progress.writes)
        if plain is not None:
            part = self.kept.with_name(f".{self.kept.name}")
            plain.save_pretrained(part / "model")
            self.tokenizer.save_pretrained(part / "model")
            part.rename(self.kept)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        sharding.check(args, kwargs["model"])

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        sharding.wait()
        if not state.is_world_process_zero:
            return
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        pd.DataFrame(self.rows).to_parquet(folder / "rows.parquet")
        pd.DataFrame(self.samples).to_parquet(folder / "samples.parquet")
        (folder / COMPLETE).touch()

    def restore(self, checkpoint: Path) -> None:
        """Restore the metrics saved with a checkpoint."""
        self.rows = pd.read_parquet(checkpoint / "rows.parquet").to_dict("records")
        self.samples = pd.read_parquet(checkpoint / "samples.parquet").to_dict("records")
        self.before = self.rows[-1]["seconds"]


def _language_share(batch: pd.DataFrame) -> float:
    texts = zip(batch.text.map(thinking), batch.language, strict=True)
    shares = [language_share(text, language) for text, language in texts]
    return pd.Series(shares, dtype=float).mean()
