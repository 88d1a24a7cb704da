"""GRPO on TRL for every RL stage: settings, rewards and metrics.

The loss is objective.grpo_loss: DeepSeekMath Eq. 3, with k3 (Eq. 4) for the KL. The reference is
replaced by the policy every `reference_sync_steps` (R1 v2, 2.1).
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from accelerate.utils import gather_object
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from trl import GRPOConfig

from r1repro.artifacts import Progress
from r1repro.config import OF_TOKENS, PLAIN_ENGINE, EngineConfig, RLConfig
from r1repro.errors import R1ReproError
from r1repro.generation.rollouts import ends
from r1repro.rewards import rule_rewards
from r1repro.tasks import templates
from r1repro.tasks.problem import Problem
from r1repro.training import (
    adapters,
    completion_steps,
    flops,
    objective,
    rl_metrics,
    sharding,
    snapshots,
    trainers,
)
from r1repro.training.critic import Critic
from r1repro.training.optimizer import MuonWithAdamW
from r1repro.training.trl_adapter import PackedGRPOTrainer, check_overrides
from r1repro.training.trl_sampling import RisingCap, rollouts, vllm_arguments

WARMUP_STEPS = 5
HELD = 0.6
"""Share of the steps before the learning rate decays."""
PLATEAU_WINDOW, PLATEAU_GAIN = 40, 0.005
"""A plateau: the mean pass@1 of the last 40 steps is less than half a point above that of the 40
steps before."""
Preference = Callable[..., list[float]]
"""A learned reward with the signature of the rule rewards."""


def trainer_arguments(
    settings: RLConfig, seed: int, folder: Path, engine: EngineConfig = PLAIN_ENGINE, **more: Any
) -> GRPOConfig:
    """TRL's arguments for the DeepSeekMath objective, which is not TRL's default."""
    rows = settings.questions * settings.generations // sharding.processes()
    attention = {"attn_implementation": engine.attention} if engine.attention != "sdpa" else None
    return trainers.arguments(
        GRPOConfig,
        settings,
        rows,
        settings.steps,
        seed=seed,
        folder=folder,
        engine=engine,
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
        gradient_accumulation_steps=1,
        steps_per_generation=settings.steps_per_generation,
        num_iterations=settings.objective.passes,
        # TRL does not synchronize adapters; PackedGRPOTrainer does.
        sync_ref_model=settings.beta > 0 and engine.lora_rank == 0,
        ref_model_sync_steps=settings.reference_sync_steps,
        ref_model_mixup_alpha=1.0,
        shuffle_dataset=False,
        model_init_kwargs=attention,  # for the reference, which TRL loads itself
        logging_steps=1,
        **more,
    )


def weights(settings: RLConfig) -> dict[str, float]:
    """Reward weights by name; accuracy and format are always measured, even at weight 0."""
    paid = {
        "accuracy": settings.accuracy_weight,
        "format": settings.format_weight,
        "language": settings.language_weight,
        "preference": settings.preference_weight,
        "overlong": settings.overlong_weight,
    }
    return {n: w for n, w in paid.items() if w > 0 or n in ("accuracy", "format")}


def rule_of(name: str, settings: RLConfig) -> Callable[..., list[float]]:
    """The reward function for a name in `weights`."""
    if settings.format_of_right and name in ("accuracy", "format"):
        name = {"accuracy": "accuracy_in_tag", "format": "format_of_right"}[name]
    rule = getattr(rule_rewards, name)
    return partial(rule, cap=settings.cap) if name == "overlong" else rule


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
    judge: completion_steps.Judge | None = None,
    engine: EngineConfig = PLAIN_ENGINE,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Train `model` in place; returns (one metrics row per step, completions kept during training).

    Asks `problems` in order, `settings.questions` per step. Resumes from the newest checkpoint in
    `folder`, to the weights of an uninterrupted run. The reference is loaded from the folder that
    the model was loaded from. Raises R1ReproError if training ends early.
    budget: in FLOPs; the policy is saved to `folder`/equal_flops after the first step that reaches
        it, or at the end.
    permuted: control run that permutes rewards within each group.
    plateau: stop at a plateau of pass@1.
    judge: rewards the steps of process supervision in place of the checker.
    """
    trainer, recorder = build(
        model, tokenizer, problems, settings, template=template, seed=seed, folder=folder,
        preference=preference, engine=engine,
    )  # fmt: skip
    trainer.judge = judge
    recorder.permuted = seed if permuted else None
    recorder.progress, recorder.budget, recorder.plateau = progress, budget, plateau
    trainers.run(trainer, recorder, folder)
    done = trainer.state.global_step
    if done != settings.steps and not recorder.at_plateau():
        raise R1ReproError(
            f"GRPO ended after {done} of {settings.steps} steps, so its weights are incomplete; "
            "delete the stage's work folder and run it again"
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
    recorder = Recorder(settings, tokenizer, model, preference, folder)
    optimizer = MuonWithAdamW(model, settings.lr_matrices, settings.lr_rest)
    prompts = [templates.render(template, problem) for problem in problems]
    rows = [
        {"prompt": p, **rule_rewards.columns_of(x)} for p, x in zip(prompts, problems, strict=True)
    ]
    own = engine.rollouts == "own"
    more = {} if own else vllm_arguments(engine, settings, model, tokenizer, prompts)
    trainer = PackedGRPOTrainer(
        model=model,
        args=trainer_arguments(settings, seed, folder, engine, **more),
        reward_funcs=recorder.reward_functions(),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        rollout_func=rollouts(tokenizer, settings, seed, recorder.clock, engine) if own else None,
        micro_batch_tokens=settings.micro_batch_tokens,
        variant=settings.objective,
        clock=recorder.clock,
        count=recorder.count,
    )
    trainer.add_callback(RisingCap(trainer, settings))
    factor = partial(schedule, steps=settings.steps)
    trainers.prepare(trainer, recorder, optimizer, factor)
    if settings.objective.advantage == "gae":
        trainer.critic = Critic(
            model, settings.objective.critic_lr, factor, settings.micro_batch_tokens,
            trainer.accelerator.autocast,
        )  # fmt: skip
    return trainer, recorder


def schedule(step: int, steps: int) -> float:
    """Learning-rate factor of update `step` (from 0): warm-up, constant, linear decay to 0.1."""
    decayed = max(0.0, (step / steps - HELD) / (1 - HELD))
    return min(1.0, (step + 1) / WARMUP_STEPS) * (1 - 0.9 * decayed)


def is_plateau(pass_at_1: Sequence[float]) -> bool:
    """Whether mean pass@1 gained less than PLATEAU_GAIN over the window before."""
    last = pass_at_1[-PLATEAU_WINDOW:]
    before = pass_at_1[-2 * PLATEAU_WINDOW : -PLATEAU_WINDOW]
    return len(before) == PLATEAU_WINDOW and np.mean(last) < np.mean(before) + PLATEAU_GAIN


def within_groups(rows: int, size: int, seeds: tuple[int, int], process: int = 0) -> list[int]:
    """A permutation of a process's rows within groups of `size` adjacent rows.

    It depends on the seed, the step and the group's index in the global batch, not on the number of
    processes. All reward functions share it, so each row gets all rewards of one row.
    """
    groups = rows // size  # exact: `questions` is a multiple of the processes
    return [
        group * size + int(row)
        for group in range(groups)
        for row in np.random.default_rng((*seeds, process * groups + group)).permutation(size)
    ]


class Recorder(trainers.Recorder):
    """Records metrics, sample completions and timings of each step.

    The reward functions see every completion, so completions are measured there.
    """

    tables = ("rows", "samples")

    def __init__(
        self,
        settings: RLConfig,
        tokenizer: PreTrainedTokenizerFast,
        model: PreTrainedModel,
        preference: Preference | None = None,
        folder: Path = Path(),
    ):
        super().__init__(settings, model, Progress(None))
        self.tokenizer, self.preference = tokenizer, preference
        self.ends, self.folder = ends(model, tokenizer), folder
        self.resumable = settings.updates_per_generation
        self.budget: float | None = None
        self.permuted: int | None = None
        self.plateau = False
        self.samples: list[dict[str, Any]] = []
        self.seconds: dict[str, float] = {}
        self.read = (0, 0)
        self.batch = pd.DataFrame()

    def clock(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def count(self, judged: int, learned: int) -> None:
        """Tokens that the step read without gradients, mostly by the reference, and with them."""
        self.read = judged, learned

    def reward_functions(self) -> list[Callable[..., list[float]]]:
        """One TRL reward function per entry of `weights`."""
        names = list(weights(self.settings))
        return [self._reward(name, name == names[0], name == names[-1]) for name in names]

    def _reward(self, name: str, first: bool, last: bool) -> Callable[..., list[float]]:
        rule = self.preference if name == "preference" else rule_of(name, self.settings)

        def paid(completions: list[str], **columns: Any) -> list[float]:
            prompts = columns["prompts"]
            completions = [
                templates.begun(p) + text for p, text in zip(prompts, completions, strict=True)
            ]
            if first:
                self.batch = rl_metrics.completions(completions, columns, self.tokenizer, self.ends)
            if rule is None:
                raise R1ReproError(
                    "preference_weight is above 0 without a reward model; pass one or set it to 0"
                )
            rewards = rule(completions, **columns, finished=self.batch["finished"].tolist())
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

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if logs is None or "entropy" not in logs:
            return
        batch, step, settings = self.batch, state.global_step, self.settings
        # With several updates per rollout, only the first one samples.
        fresh = "rollout" in self.seconds
        paid = [w * batch[f"reward_{name}"] for name, w in weights(settings).items()]
        reward = sum(paid, 0 * batch.tokens)
        row = self._row(reward, logs)
        row = {name: None if v is None else float(v) for name, v in row.items()}
        self.rows.append({"step": step, **row})
        self.seconds = {}
        if self.at_plateau():
            control.should_training_stop = True
        if fresh and (step == 1 or step % settings.sample_every == 0):
            rewards_B = torch.tensor(reward.to_numpy())
            kind = settings.objective.advantage
            if kind not in OF_TOKENS:
                advantages_B = objective.advantages_of(rewards_B, settings.generations, kind)
                batch["advantage"] = advantages_B.numpy()
            batch = batch.assign(step=step, reward=reward, rest_of_group=False)
            kept = batch.groupby("problem_id", sort=False).head(1)
            rest = batch.iloc[1 : settings.generations].assign(rest_of_group=True)
            self.samples += pd.concat([kept, rest]).to_dict("records")
        last = step == settings.steps
        spent_all = self.budget is not None and (row["flops"] >= self.budget or last)
        every = settings.snapshot_every
        due = {
            flops.EQUAL_FLOPS: spent_all,
            snapshots.place(step): every > 0 and step % every == 0 and not last,
        }
        for name, wanted in due.items():
            if wanted and not (self.folder / name).exists():
                self._keep(kwargs["model"], name)
        shown = {"pass@1": "pass_at_1", "format": "format_valid", "length": "length"}
        shown |= {"tokens/s": "tokens_per_s"} if fresh else {}
        self.progress.update(step, settings.steps, **{k: row[name] for k, name in shown.items()})

    def _row(self, reward: pd.Series, logs: dict[str, Any]) -> dict[str, Any]:
        paid, rollout = list(weights(self.settings)), self.seconds.get("rollout")
        phases = ("rollout", "reference", "update")
        judged, learned = self.read
        spent = flops.trained(self.parameters, self.moved, learned)
        spent += flops.forward(self.parameters, judged)
        if rollout is not None:  # the sampler prefills a prompt once per group
            prompts = self.batch.prompt_tokens.sum() / self.settings.generations
            spent += flops.forward(self.parameters, prompts + self.batch.tokens.sum())
        return {
            **rl_metrics.step(self.batch, reward, paid, logs, rollout),
            **{f"seconds_{name}": self.seconds.get(name, 0.0) for name in phases},
            "seconds": self.elapsed(),
            "flops": (self.rows[-1]["flops"] if self.rows else 0.0) + spent,
        }

    def at_plateau(self) -> bool:
        """Whether RL stops at a plateau here."""
        return self.plateau and is_plateau([row["pass_at_1"] for row in self.rows])

    def _keep(self, model: PreTrainedModel, name: str) -> None:
        """Save the policy of this step as folder/name."""
        kept = self.folder / name
        plain = adapters.whole(getattr(model, "module", model), wanted=self.progress.writes)
        if plain is not None:
            part = kept.with_name(f".{kept.name}")
            plain.save_pretrained(part / "model")
            self.tokenizer.save_pretrained(part / "model")
            part.rename(kept)
