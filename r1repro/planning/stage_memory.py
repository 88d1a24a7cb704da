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
    SFTConfig,
    lab,
    models,
    rows_together,
    with_teacher,
)
from r1repro.evaluation.checkpoints import BASE_OF
from r1repro.planning import memory
from r1repro.planning.memory import Counts, Memory
from r1repro.planning.work import kind, longest_answer, processes, prompt_tokens, settings_of
from r1repro.runner.graph import Stage, model_of_stage
from r1repro.runner.workspace import Workspace
from r1repro.stages import offline
from r1repro.training.shape import read, shape_file


def model_of(config: Config, key: str) -> OriginConfig:
    """The model's shape; of a base that is already built, its folder."""
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
    prompt, shared_by = prompt_tokens(config), processes(config, stage)

    def tuned(settings: SFTConfig, said: int, each: int = 1) -> Memory:
        tokens = each * rows_together(settings, shared_by) * (prompt + said)
        return memory.training(
            shape, counts, tokens, min(memory.SFT_CHUNK, tokens), engine, shared_by
        )

    def sampled(rows: int, said: int) -> Memory:
        return memory.sampling(shape, counts, rows, prompt, said, engine)

    if named in ("rl", "why_rl", "iterative"):
        judge = bool({"reward_model", lab.PROCESS} & {*stage.inputs}) or named == "iterative"
        settings = settings_of(config, stage)
        return memory.grpo(shape, counts, settings, engine, shared_by, prompt, judge)
    if named == "sft":
        return tuned(settings_of(config, stage), longest_answer(config, stage))
    if named == "offline" and stage.name != offline.DATA:
        settings, cap = settings_of(config, stage), config.stage.r1_zero.last_cap
        if lab.arms()[lab.trained()[stage.name]].offline != "dpo":
            return tuned(settings, cap)
        pairs = tuned(settings, cap, each=2)
        return replace(pairs, reference=pairs.weights)
    if named in ("reward_model", lab.PROCESS):
        settings = config.stage.reward_model
        asked = config.stage.r1_zero if named == lab.PROCESS else settings
        learned = tuned(settings, asked.max_completion_tokens, each=2)
        drawn = sampled(settings.rollout_batch, asked.max_completion_tokens)
        # The policies are sampled before the reward model is loaded.
        return replace(learned, rollouts=max(0, drawn.peak - learned.held))
    if named in ("cold_start_data", "rejection_sampling", "evaluate", "offline"):
        settings = config.evaluation if named == "evaluate" else settings_of(config, stage)
        return sampled(settings.rollout_batch, settings.max_completion_tokens)
    if named == "base_model" and models(config)[key].made_here:
        tokens = settings_of(config, stage).batch_tokens  # each of them is predicted
        return memory.training(shape, counts, tokens, tokens, EngineConfig(engine.precision))
    return None
