"""Stages r1_zero, dev2, r1 and the students' RL: GRPO from a checkpoint."""

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from r1repro.artifacts import Inputs, Progress, StageResult
from r1repro.config import AllScenarioConfig, Config, RLConfig, lab
from r1repro.errors import R1ReproError
from r1repro.evaluation import checkpoints
from r1repro.rewards.preference import Preference
from r1repro.stages import process_model
from r1repro.stages.models import load_reward_model, load_tokenizer, load_trained, store
from r1repro.stages.student_data import distillation_flops
from r1repro.tasks import general, own_general, worlds
from r1repro.tasks.problem import Problem
from r1repro.training import rl

PLATEAU_TIMES = 5
"""Maximum steps of RL to a plateau, as a multiple of those of RL alone."""


def reasoning(
    name: str,
    start: str,
    config: Config,
    inputs: Inputs,
    folder: Path,
    progress: Progress,
    permuted: bool = False,
    **changes: Any,
) -> None:
    """Checkpoint `name`, by rule-based rewards, from stage `start`; changes: of its settings."""
    settings = replace(getattr(config.stage, name), **changes)
    more: dict[str, Any] = {"permuted": True} if permuted else {}
    train(config, name, inputs[start], settings, folder, progress, **more)


def __getattr__(name: str) -> Any:
    """The functions of the lab's stages, which conf/lab.yaml lists."""
    if name not in lab.trained():
        raise AttributeError(name)
    return partial(arm, lab.trained()[name])


def arm(name: str, config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """An arm of the lab: as R1-Zero, but for its changes and where it starts."""
    one = lab.arms()[name]
    more: dict[str, Any] = {}
    if one.learned_steps:
        more["judge"] = process_model.judge(config, inputs[lab.PROCESS].folder)
    settings = lab.settings(config.stage.r1_zero, one)
    train(config, "r1_zero", inputs[one.start], settings, folder, progress, **more)


r1_zero = partial(reasoning, "r1_zero", "base")
"""From the base, with rule-based rewards and no SFT (R1 v2, section 2)."""
r1_zero_permuted = partial(r1_zero, permuted=True, snapshot_every=0)
"""Control: as R1-Zero, with the rewards permuted within each group."""
r1_zero_format_only = partial(r1_zero, accuracy_weight=0.0, format_of_right=False, snapshot_every=0)
"""Control: as R1-Zero, with the format reward only; accuracy is measured with weight zero."""
r1_zero_equal_weights = partial(r1_zero, format_of_right=False, snapshot_every=0)
"""Ablation: the paper's sum of independent accuracy and format rewards."""
small_zero = partial(reasoning, "r1_zero", "small_base", snapshot_every=0)
"""Ablation: R1-Zero from a smaller base (R1 v2, G.1)."""
dev2 = partial(reasoning, "dev2", "dev1")
"""From dev1, with the language-consistency reward (R1 v2, 3.2.1)."""
dev2_no_language_reward = partial(dev2, language_weight=0.0)
"""Ablation: as Dev2, without that reward (R1 v2, B.6)."""


def r1(config: Config, inputs: Inputs, folder: Path, progress: Progress, **changes: Any) -> None:
    """From dev3, with general prompts and preference reward in the last part (R1 v2, 3.2.2)."""
    settings = replace(config.stage.r1, **changes)
    place = inputs["reward_model"].folder / "model"
    preference = Preference(load_reward_model(place, config.engine), load_tokenizer(place))
    train(
        config, "r1", inputs["dev3"], settings, folder, progress,
        problems=scenarios(config, settings), preference=preference,
    )  # fmt: skip


r1_preference_throughout = partial(r1, general_from=0.0)
"""Ablation: general prompts and preference reward from the first step (R1 v2, B.5)."""


def student(
    config: Config,
    inputs: Inputs,
    folder: Path,
    progress: Progress,
    arm: str = "rl",
    start: str = "base",
    times: int = 1,
    **more: Any,
) -> None:
    """RL of a student; arm, start: keys of checkpoints.ARMS; times: a multiple of its steps."""
    arms = checkpoints.arms_of(inputs)
    settings: RLConfig = getattr(config.stage, arms[arm])
    settings = replace(settings, steps=times * settings.steps)
    train(config, arms[arm], inputs[arms[start]], settings, folder, progress, **more)


def student_rl(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """RL from a student's base; the policy is also saved once distillation's FLOPs are spent."""
    distilled = inputs[checkpoints.arms_of(inputs)["distilled"]]
    student(config, inputs, folder, progress, budget=distillation_flops(distilled, inputs))


student_rl_plateau = partial(student, times=PLATEAU_TIMES, plateau=True)
"""RL from a student's base until its gains stop, by the rule in training/rl.py."""
distilled_rl = partial(student, arm="distilled_rl", start="distilled")
"""RL from a distilled student."""


def train(
    config: Config,
    name: str,
    start: StageResult,
    settings: RLConfig,
    folder: Path,
    progress: Progress,
    *,
    problems: Sequence[Problem] | None = None,
    **more: Any,
) -> None:
    """Train checkpoint `name`; more: of `training.rl.train`.

    Writes model/, metrics.parquet (one row per step), completions.parquet (stored samples) and
    moved.json.
    """
    place = start.folder / "model"
    tokenizer, model = load_tokenizer(place), load_trained(place, config.engine, config.seed)
    if problems is None:
        stream = worlds.of(config.task).train(config.seed)
        problems = list(islice(stream, settings.batches * settings.questions))
    rows, samples = rl.train(
        model, tokenizer, problems, settings, template=checkpoints.form(config, name),
        seed=config.seed, folder=folder, progress=progress, engine=config.engine, **more,
    )  # fmt: skip
    store(model, tokenizer, place, folder, rows, progress)
    if progress.writes:
        pd.DataFrame(samples).to_parquet(folder / "completions.parquet")


def scenarios(config: Config, settings: AllScenarioConfig) -> list[Problem]:
    """The questions of every batch in order.

    From `general_from` on, a share of `general_share` per batch is general, rounded; the families
    alternate.
    """
    world = worlds.of(config.task)
    reasoning = world.train(f"{config.seed}-all scenarios")
    rng = random.Random(f"scenarios-{world.seed}-{config.seed}")
    families = _general(config)
    first = round(settings.general_from * settings.batches)
    among = round(settings.general_share * settings.questions)
    found: list[Problem] = []
    for batch in range(settings.batches):
        count = among if batch >= first else 0
        found += islice(reasoning, settings.questions - count)
        chosen = [families[(batch * among + i) % len(families)] for i in range(count)]
        found += [rng.choice(items) for items in chosen]
    return found


def _general(config: Config) -> list[list[Problem]]:
    """General training questions by family; the user's own are one family."""
    world = worlds.of(config.task)
    if config.general.sft is None:
        by_task = world.general_train_by_task.values()
        return [[general.problem(item) for item in items] for items in by_task]
    own = [asked for asked, _ in own_general.completions(config.general)]
    flags = world.overlapping([asked.prompt for asked in own], [""] * len(own))
    clean = [asked for asked, held in zip(own, flags, strict=True) if not held]
    if not clean:
        raise R1ReproError("every question of general.sft is held out; give other questions")
    return [clean]
