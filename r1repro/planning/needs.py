"""Memory that a process of each stage needs, on this machine and on others."""

import os
from dataclasses import replace
from functools import cache

import torch
from transformers import PreTrainedConfig

from r1repro.config import (
    TEACHER,
    Config,
    EngineConfig,
    OriginConfig,
    lab,
    models,
    rows_together,
    with_teacher,
)
from r1repro.evaluation.checkpoints import BASE_OF
from r1repro.planning import memory
from r1repro.planning.memory import Counts, Memory
from r1repro.planning.work import kind, longest_answer, prompt_tokens, settings_of
from r1repro.runner.graph import Stage, model_of_stage
from r1repro.runner.workspace import Workspace
from r1repro.stages import offline
from r1repro.training.shape import read, shape_file


def model_of(config: Config, key: str) -> OriginConfig:
    """The model's shape; for a base that is already built, with its folder as path."""
    model = with_teacher(config)[key]
    base, space = BASE_OF.get(key), Workspace(config)
    if base is not None and model.path is None and space.is_done(base):
        return replace(model, path=str(space.place(base) / "model"))
    return model


@cache
def counted(model: OriginConfig) -> tuple[PreTrainedConfig, Counts]:
    """The model's shape and its parameters."""
    shape = read(model)
    return shape, memory.count(shape)


def here() -> tuple[int, str]:
    """Memory of this machine's GPU in bytes, else of the machine, and its name."""
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        return card.total_memory, card.name
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "this machine"


def needs(config: Config, stage: Stage) -> Memory | None:
    """Memory of a process of the stage.

    None if the stage has no model, or one of unknown shape (a teacher not yet downloaded).
    """
    key, named, engine = model_of_stage(stage), kind(stage), config.engine
    if key == TEACHER and shape_file(model_of(config, key)) is None:
        return None
    shape, counts = counted(model_of(config, key))
    prompt = prompt_tokens(config)
    processes = config.launch.processes if stage.distributed else 1
    if named in ("rl", "why_rl", "iterative"):
        judge = bool({"reward_model", lab.PROCESS} & {*stage.inputs}) or named == "iterative"
        settings = settings_of(config, stage)
        return memory.grpo(shape, counts, settings, engine, processes, prompt, judge)
    if named == "sft":
        rows = rows_together(settings_of(config, stage), processes)
        row = prompt + longest_answer(config, stage)
        return memory.fine_tuning(shape, counts, rows, row, engine, processes)
    if named == "offline" and stage.name != offline.DATA:
        rows = rows_together(settings_of(config, stage), processes)
        row = prompt + config.stage.r1_zero.last_cap
        if lab.arms()[stage.name.removeprefix(lab.STAGE)].offline != "dpo":
            return memory.fine_tuning(shape, counts, rows, row, engine, processes)
        pairs = memory.fine_tuning(shape, counts, 2 * rows, row, engine, processes)
        return replace(pairs, reference=pairs.weights)
    if named in ("reward_model", lab.PROCESS):
        settings = config.stage.reward_model
        rows, said = 2 * rows_together(settings, processes), settings.max_completion_tokens
        if named == lab.PROCESS:
            said = config.stage.r1_zero.max_completion_tokens
        learned = memory.fine_tuning(shape, counts, rows, prompt + said, engine, processes)
        asked = memory.sampling(shape, counts, settings.rollout_batch, prompt, said, engine)
        # The policies are sampled before the reward model is loaded.
        return replace(learned, rollouts=max(0, asked.peak - learned.held))
    if named in ("cold_start_data", "rejection_sampling", "evaluate", "offline"):
        settings = config.evaluation if named == "evaluate" else settings_of(config, stage)
        rows, said = settings.rollout_batch, settings.max_completion_tokens
        return memory.sampling(shape, counts, rows, prompt, said, engine)
    if named == "base_model" and models(config)[key].made_here:
        tokens = settings_of(config, stage).batch_tokens  # every one is predicted
        return memory.training(shape, counts, tokens, tokens, EngineConfig(engine.precision))
    return None
