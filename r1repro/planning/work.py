"""Work and memory of a stage, computed from the configuration before anything runs."""

import math
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as parquet

from r1repro.config import (
    LONGEST_PROMPT,
    Config,
    RLConfig,
    SamplesConfig,
    lab,
    models,
)
from r1repro.errors import R1ReproError
from r1repro.evaluation import checkpoints
from r1repro.runner.graph import Stage, model_of_stage
from r1repro.runner.workspace import Workspace
from r1repro.stages import offline, why_rl
from r1repro.stages.baselines import TEMPERATURES
from r1repro.stages.evaluate import some
from r1repro.stages.samples import as_many
from r1repro.tasks import worlds

PROMPT = 512
"""Tokens assumed for a prompt of an external task, for memory."""
TRACE = 8_192
"""Tokens assumed for a stronger teacher's trace."""
RFT_DATA = "base_rft_data"


@dataclass(frozen=True)
class Work:
    """The work of a stage, as text (`said`) and as counts.

    completions: sampled, of at most `cap` tokens each, after `prompts` that are read once each;
    below: tokens by which their mean cap is below `cap`, where that was reached in mid-run;
    learned: training rows over all epochs, whose completions have at most `longest` tokens;
    pretrained: tokens.
    """

    said: str
    prompts: int = 0
    completions: int = 0
    cap: int = 0
    below: float = 0.0
    learned: int = 0
    longest: int = 0
    pretrained: int = 0


def work(config: Config, stage: Stage) -> Work:
    """The stage's work; empty for stages of unknown kind."""
    if stage.run == lab.EVALUATE:
        return _arm_evaluated(config)
    count = _WORKS.get(kind(stage))
    return Work("") if count is None else count(config, stage)


def kind(stage: Stage) -> str:
    """Name of the module of the stage's function."""
    return stage.run.split(":")[0].rsplit(".", 1)[-1]


def settings_of(config: Config, stage: Stage) -> Any:
    """The stage's own settings."""
    found = getattr(config.stage, settings_key(stage).removeprefix("stage."))
    if not stage.changes:
        return found
    named = lab.REFERENCE if stage.name == offline.DATA else stage.name.removeprefix(lab.STAGE)
    arm = lab.arms()[named]
    if arm.offline is None:
        return lab.settings(found, arm)
    return lab.offline_settings(config.stage, arm)


def settings_key(stage: Stage) -> str:
    """Dotted path of the stage's settings."""
    return next(path for path in stage.config if path.startswith("stage."))


def _base(config: Config, stage: Stage) -> Work:
    model = models(config)[model_of_stage(stage)]
    if not model.made_here:
        return Work(f"copied from {model.path or model.hub}: nothing is trained")
    tokens, batch = settings_of(config, stage).tokens, settings_of(config, stage).batch_tokens
    said = f"{tokens:,} tokens in batches of {batch:,}, from random weights"
    return Work(said, pretrained=tokens)


def _rl(config: Config, stage: Stage) -> Work:
    settings: RLConfig = settings_of(config, stage)
    processes = config.launch.processes if stage.distributed else 1
    rows, cap = settings.questions * settings.generations, settings.last_cap
    mean = sum(map(settings.cap, range(settings.steps))) / settings.steps
    longest = settings.micro_batch_tokens // (prompt_tokens(config) + cap)
    fit = max(1, min(rows // processes, longest))
    completions, once = settings.batches * rows, settings.steps_per_generation
    return Work(
        f"{settings.questions} questions x {settings.generations} answers = {rows:,} completions "
        f"a step of at most {settings.max_completion_tokens:,} tokens"
        + (f", {cap:,} after {settings.raised_at:,} steps" if mean < cap else "")
        + (f", sampled for {once} steps at once" if once > 1 else "")
        + f", in micro-batches of at most {settings.micro_batch_tokens:,} tokens ({fit:,} of the "
        f"longest rows), {processes} {'process' if processes == 1 else 'processes'}; "
        f"{settings.steps:,} steps = {completions:,} completions",
        prompts=settings.steps * settings.questions,
        completions=completions,
        cap=cap,
        below=cap - mean,
        learned=settings.steps * rows,
        longest=cap,
    )


def _why_rl(config: Config, stage: Stage) -> Work:
    settings = config.stage.r1_zero
    prompts, cap = why_rl.UPDATES * settings.questions, settings.max_completion_tokens
    completions = 2 * prompts * settings.generations
    return Work(
        f"SFT, RFT and GRPO on {prompts:,} questions in {why_rl.UPDATES} updates each; RFT and "
        f"GRPO sample {completions:,} completions of at most {cap:,} tokens",
        prompts=2 * prompts,
        completions=completions,
        cap=cap,
        learned=completions + prompts,
        longest=cap,
    )


def _process_model(config: Config, stage: Stage) -> Work:
    pairs, cap = config.stage.reward_model, config.stage.r1_zero.max_completion_tokens
    completions = pairs.questions * pairs.samples
    return Work(
        f"{pairs.questions:,} questions x {pairs.samples} samples of the base = {completions:,} "
        f"completions of at most {cap:,} tokens; pairs of their beginnings x {pairs.epochs} epochs",
        prompts=pairs.questions,
        completions=completions,
        cap=cap,
        learned=2 * pairs.questions * pairs.epochs,
        longest=cap,
    )


def _iterative(config: Config, stage: Stage) -> Work:
    settings, pairs = lab.of_round(config.stage.r1_zero), config.stage.reward_model
    asked, cap = settings.batches * settings.questions, settings.max_completion_tokens
    evaluated = _arm_evaluated(config)
    prompts = 3 * (asked + evaluated.prompts) + 2 * pairs.questions
    learned = 3 * asked * settings.generations
    completions = learned + 2 * pairs.questions * pairs.samples + 3 * evaluated.completions
    return Work(
        f"two reward models, each from at most {pairs.questions:,} pairs x {pairs.epochs} epochs, "
        f"and three rounds of {settings.batches} batches of {settings.questions} x "
        f"{settings.generations} answers; {completions:,} completions with the samples for the "
        f"pairs and for the evaluation, of at most {cap:,} tokens",
        prompts=prompts,
        completions=completions,
        cap=max(cap, evaluated.cap),
        learned=learned + 2 * 2 * pairs.questions * pairs.epochs,
        longest=cap,
    )


def _sft(config: Config, stage: Stage) -> Work:
    settings = settings_of(config, stage)
    source, student = stage.inputs[-1], config.student
    made = sampled_for(config, stage)
    if _by_traces(config, stage):
        source, examples, most = str(student.traces), student.traces_rows, "at most "
    elif Workspace(config).is_done(source):
        file = Workspace(config).place(source) / "dataset.parquet"
        examples, most = parquet.read_metadata(file).num_rows, ""
    else:
        general = getattr(made, "general_share", 0.0)
        examples, most = round(made.questions * made.kept / (1 - general)), "at most "
    rows = examples * settings.epochs
    return Work(
        f"{most}{examples:,} examples of {source} x {settings.epochs} epochs, {settings.batch_size}"
        f" a step: {most}{math.ceil(rows / settings.batch_size):,} steps",
        learned=rows,
        longest=longest_answer(config, stage),
    )


def _by_traces(config: Config, stage: Stage) -> bool:
    return config.student.traces is not None and model_of_stage(stage) != "model"


def longest_answer(config: Config, stage: Stage) -> int:
    """Most tokens of a completion in an SFT stage; for external traces an assumption."""
    if _by_traces(config, stage):
        return TRACE
    return sampled_for(config, stage).max_completion_tokens


def sampled_for(config: Config, stage: Stage) -> SamplesConfig:
    """How the data of an SFT stage are sampled."""
    source = stage.inputs[1]
    if source == RFT_DATA:
        return _rft_samples(config)
    settings: SamplesConfig = getattr(config.stage, source)
    return settings


def _rft_samples(config: Config) -> SamplesConfig:
    return as_many(config.stage.r1_zero, config.stage.base_rft.keep_all)


def _samples(config: Config, stage: Stage) -> Work:
    settings: SamplesConfig = settings_of(config, stage)
    completions = settings.questions * settings.samples
    return Work(
        f"{settings.questions:,} questions x {settings.samples} samples = {completions:,} "
        f"completions of at most {settings.max_completion_tokens:,} tokens, at most "
        f"{settings.rollout_batch:,} at once; at most {settings.kept} of a question are kept",
        prompts=settings.questions,
        completions=completions,
        cap=settings.max_completion_tokens,
    )


def _arm_evaluated(config: Config) -> Work:
    """An arm of the lab on the validation problems."""
    asked = config.evaluation
    try:
        problems = len(some(worlds.of(config.task).validation, asked.problems))
    except R1ReproError:
        return Work(f"{asked.samples} samples per validation problem, of a number not yet known")
    completions, cap = problems * asked.samples, asked.max_completion_tokens
    return Work(
        f"{problems:,} validation problems x {asked.samples} = {completions:,} completions of at "
        f"most {cap:,} tokens",
        prompts=problems,
        completions=completions,
        cap=cap,
    )


def _reward_model(config: Config, stage: Stage) -> Work:
    settings = settings_of(config, stage)
    completions = 2 * settings.questions * settings.samples
    return Work(
        f"{settings.questions:,} general questions x {settings.samples} samples of two policies = "
        f"{completions:,} completions; at most {settings.questions:,} pairs x {settings.epochs} "
        f"epochs, {settings.batch_size} pairs a step",
        prompts=2 * settings.questions,
        completions=completions,
        cap=settings.max_completion_tokens,
        learned=2 * settings.questions * settings.epochs,
        longest=settings.max_completion_tokens,
    )


def _evaluate(config: Config, stage: Stage) -> Work:
    settings = config.evaluation
    if stage.run.endswith(":curve"):
        return _curve(config)
    in_depth = stage.run.endswith(":in_depth")
    samples = settings.samples if in_depth else settings.samples_between
    each = settings.general_samples
    if stage.run.endswith(":greedy"):
        samples = each = 1  # the same answer every time
    try:
        world = worlds.of(config.task)
    except R1ReproError:
        return Work(f"{samples} samples per held-out problem, whose number is not yet known")
    problems = len(some(getattr(world, settings.split), settings.problems))
    general = len(some(getattr(world, f"general_{settings.split}"), settings.general_items))
    completions = problems * samples + general * each
    return Work(
        f"{problems:,} problems x {samples} and {general:,} general items x "
        f"{each} = {completions:,} completions of at most "
        f"{settings.max_completion_tokens:,} tokens",
        prompts=problems + general,
        completions=completions,
        cap=settings.max_completion_tokens,
    )


def _curve(config: Config) -> Work:
    """The held-out curve: the base, R1-Zero and what its training kept, on validation problems."""
    settings, rl = config.evaluation, config.stage.r1_zero
    every = rl.snapshot_every
    policies = 2 + ((rl.steps - 1) // every if every else 0)
    try:
        problems = len(some(worlds.of(config.task).validation, settings.problems))
    except R1ReproError:
        return Work(f"{policies} policies on the validation problems, whose number is not known")
    samples, cap = settings.curve_samples or 0, settings.max_completion_tokens
    completions = policies * problems * samples
    return Work(
        f"{policies} policies x {problems:,} validation problems x {samples} samples = "
        f"{completions:,} completions of at most {cap:,} tokens",
        prompts=policies * problems,
        completions=completions,
        cap=cap,
    )


def _baseline(config: Config, stage: Stage) -> Work:
    """The search of the best prompt, the data of RFT, or an evaluation with another prompt."""
    named = stage.run.rsplit(":", 1)[-1]
    if named == "rft_data":
        drawn = _rft_samples(config)
        prompts, cap = drawn.questions, drawn.max_completion_tokens
        completions = prompts * drawn.samples
    elif named == "search":
        settings = config.evaluation
        try:
            world = worlds.of(config.task)
        except R1ReproError:
            return Work("every prompt on the validation problems, whose number is not yet known")
        problems = len(some(world.validation, settings.problems))
        ways = len(checkpoints.ways(config, world))
        prompts, cap = problems * ways * len(TEMPERATURES), settings.max_completion_tokens
        # Greedy decoding, one of the temperatures, samples once.
        each = 1 + (len(TEMPERATURES) - 1) * settings.search_samples
        completions = problems * ways * each
    else:
        return _evaluate(config, stage)
    said = f"{completions:,} completions of at most {cap:,} tokens to {prompts:,} prompts"
    return Work(said, prompts=prompts, completions=completions, cap=cap)


def _offline(config: Config, stage: Stage) -> Work:
    rl = lab.settings(config.stage.r1_zero, lab.arms()[lab.REFERENCE])
    questions, cap = rl.batches * rl.questions, rl.last_cap
    samples = questions * rl.generations
    if stage.name == offline.DATA:
        said = f"{samples:,} completions of at most {cap:,} tokens to {questions:,} questions"
        return Work(said, prompts=questions, completions=samples, cap=cap)
    arm = lab.arms()[stage.name.removeprefix(lab.STAGE)]
    settings = settings_of(config, stage)
    every = questions if arm.offline == "sft" else samples
    rows = max(1, round(arm.share * every)) * settings.epochs
    return Work(
        f"{str(arm.offline).upper()} on at most {rows // settings.epochs:,} examples of "
        f"{offline.DATA} x {settings.epochs} epochs, {settings.batch_size} a step",
        learned=rows,
        longest=cap,
    )


_WORKS = {
    "offline": _offline,
    "base_model": _base,
    "rl": _rl,
    "sft": _sft,
    "why_rl": _why_rl,
    "iterative": _iterative,
    lab.PROCESS: _process_model,
    "cold_start_data": _samples,
    "rejection_sampling": _samples,
    "reward_model": _reward_model,
    "evaluate": _evaluate,
    "baselines": _baseline,
}


def prompt_tokens(config: Config) -> int:
    """Assumed length of the longest prompt, in tokens."""
    return LONGEST_PROMPT if config.model.made_here else PROMPT
