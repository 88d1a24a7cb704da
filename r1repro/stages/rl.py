"""Stages r1_zero, dev2, r1 and the students' RL: GRPO from a checkpoint."""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pandas as pd

from r1repro.artifacts import Progress, StageResult
from r1repro.config import AllScenarioConfig, Config, RLConfig
from r1repro.rewards.preference import Preference
from r1repro.stages.distillation import distillation_flops
from r1repro.stages.models import (
    load_reward_model,
    load_tokenizer,
    load_trained,
    save_model,
    write_moved,
)
from r1repro.tasks import general, templates, worlds
from r1repro.tasks.problem import Problem
from r1repro.training import grpo

PLATEAU_TIMES = 5
"""Most steps of RL to a plateau, as a multiple of those of RL alone."""


def r1_zero(
    config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress
) -> None:
    """From the base, with rule-based rewards and no SFT (R1 v2, section 2)."""
    train(config, "r1_zero", inputs["base"], config.stage.r1_zero, folder, progress)


def r1_zero_permuted(
    config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress
) -> None:
    """Control: as R1-Zero, with the rewards permuted within each group."""
    train(config, "r1_zero", inputs["base"], config.stage.r1_zero, folder, progress, permuted=True)


def r1_zero_format_only(
    config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress
) -> None:
    """Control: as R1-Zero, with the format reward only; accuracy is measured with weight zero."""
    settings = replace(config.stage.r1_zero, accuracy_weight=0.0, format_of_right=False)
    train(config, "r1_zero", inputs["base"], settings, folder, progress)


def r1_zero_equal_weights(
    config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress
) -> None:
    """Ablation: the paper's sum of independent accuracy and format rewards."""
    settings = replace(config.stage.r1_zero, format_of_right=False)
    train(config, "r1_zero", inputs["base"], settings, folder, progress)


def dev2(config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress) -> None:
    """From dev1, with the language-consistency reward (R1 v2, 3.2.1)."""
    train(config, "dev2", inputs["dev1"], config.stage.dev2, folder, progress)


def dev2_no_language_reward(
    config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress
) -> None:
    """Ablation: as Dev2, without that reward (R1 v2, B.6)."""
    settings = replace(config.stage.dev2, language_weight=0.0)
    train(config, "dev2", inputs["dev1"], settings, folder, progress)


def r1(config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress) -> None:
    """From dev3, with general prompts and preference reward in the last part (R1 v2, 3.2.2)."""
    _all_scenarios(config, inputs, config.stage.r1, folder, progress)


def r1_preference_throughout(
    config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress
) -> None:
    """Ablation: general prompts and preference reward from the first step (R1 v2, B.5)."""
    settings = replace(config.stage.r1, general_from=0.0)
    _all_scenarios(config, inputs, settings, folder, progress)


def student_rl(
    config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress
) -> None:
    """RL from a student's base; the policy is also saved once distillation's FLOPs are spent."""
    ((name, base),) = ((n, result) for n, result in inputs.items() if n.endswith("_base"))
    (distilled,) = (result for name, result in inputs.items() if name.endswith("_distilled"))
    budget = distillation_flops(distilled, inputs)
    checkpoint = name.replace("_base", "_rl")
    settings = getattr(config.stage, checkpoint)
    train(config, checkpoint, base, settings, folder, progress, budget=budget)


def student_rl_plateau(
    config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress
) -> None:
    """RL from a student's base until its gains stop, by the rule in training/grpo.py."""
    ((name, base),) = inputs.items()
    checkpoint = name.replace("_base", "_rl")
    settings: RLConfig = getattr(config.stage, checkpoint)
    settings = replace(settings, steps=PLATEAU_TIMES * settings.steps)
    train(config, checkpoint, base, settings, folder, progress, plateau=True)


def distilled_rl(
    config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress
) -> None:
    """RL from a distilled student."""
    ((name, distilled),) = inputs.items()
    settings = getattr(config.stage, f"{name}_rl")
    train(config, f"{name}_rl", distilled, settings, folder, progress)


def train(
    config: Config,
    name: str,
    start: StageResult,
    settings: RLConfig,
    folder: Path,
    progress: Progress,
    *,
    problems: Sequence[Problem] | None = None,
    preference: Preference | None = None,
    budget: float | None = None,
    permuted: bool = False,
    plateau: bool = False,
) -> None:
    """Train checkpoint `name`.

    Writes model/, metrics.parquet (one row per step), completions.parquet (stored samples) and
    moved.json.
    """
    place = start.folder / "model"
    tokenizer, model = load_tokenizer(place), load_trained(place, config.engine, config.seed)
    if problems is None:
        stream = worlds.of(config.task).train(config.seed)
        problems = list(islice(stream, settings.batches * settings.questions))
    rows, samples = grpo.train(
        model,
        tokenizer,
        problems,
        settings,
        template=templates.form(config, name),
        seed=config.seed,
        folder=folder,
        progress=progress,
        preference=preference,
        budget=budget,
        permuted=permuted,
        plateau=plateau,
        engine=config.engine,
    )
    save_model(model, tokenizer, folder / "model", progress.writes)
    if not progress.writes:
        return
    write_moved(place, folder)
    pd.DataFrame(rows).to_parquet(folder / "metrics.parquet")
    pd.DataFrame(samples).to_parquet(folder / "completions.parquet")


def _all_scenarios(
    config: Config,
    inputs: dict[str, StageResult],
    settings: AllScenarioConfig,
    folder: Path,
    progress: Progress,
) -> None:
    place = inputs["reward_model"].folder / "model"
    preference = Preference(load_reward_model(place, config.engine), load_tokenizer(place))
    problems = scenarios(config, settings)
    train(
        config, "r1", inputs["dev3"], settings, folder, progress,
        problems=problems, preference=preference,
    )  # fmt: skip


def scenarios(config: Config, settings: AllScenarioConfig) -> list[Problem]:
    """The questions of every batch in order, with general ones from `general_from` on.

    From then on a share of `general_share` per batch is general, rounded; the families alternate.
    """
    world = worlds.of(config.task)
    reasoning = world.train(f"{config.seed}-all scenarios")
    rng = random.Random(f"scenarios-{world.seed}-{config.seed}")
    families = list(world.general_train_by_task.values())
    first = round(settings.general_from * settings.batches)
    among = round(settings.general_share * settings.questions)
    found: list[Problem] = []
    for batch in range(settings.batches):
        count = among if batch >= first else 0
        found += islice(reasoning, settings.questions - count)
        chosen = [families[(batch * among + i) % len(families)] for i in range(count)]
        found += [general.problem(rng.choice(items)) for items in chosen]
    return found
