"""Work and memory of a stage, computed from the configuration before anything runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as parquet

from r1repro.config import LONGEST_PROMPT, Config, RLConfig, SamplesConfig, lab, models
from r1repro.errors import R1ReproError
from r1repro.evaluation import checkpoints
from r1repro.runner.graph import Stage, model_of_stage
from r1repro.runner.workspace import Workspace
from r1repro.stages import offline, why_rl
from r1repro.stages.baselines import TEMPERATURES
from r1repro.stages.evaluate import some
from r1repro.stages.samples import as_many
from r1repro.tasks import worlds
from r1repro.tasks.problem import Problem

PROMPT = 512
"""Tokens assumed for a prompt of an external task, for memory."""
TRACE = 8_192
"""Tokens assumed for a stronger teacher's trace."""
RFT_DATA = "base_rft_data"


@dataclass(frozen=True)
class Work:
    """The work of a stage, as text (`said`) and as counts.

    completions: sampled, of at most `cap` tokens each, `general` of them to general items;
        prompts: each read once.
    below: how far the mean cap is below `cap`, in tokens, if the cap rises during the run.
    learned: training rows over all epochs, whose completions have at most `longest` tokens.
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
    general: int = 0


def work(config: Config, stage: Stage) -> Work:
    """The stage's work; empty for stages of unknown kind."""
    function = stage.run.rpartition(".")[2]
    count = _WORKS.get(function) or _WORKS.get(kind(stage))
    return Work("") if count is None else count(config, stage)


def kind(stage: Stage) -> str:
    """Name of the module of the stage's function."""
    return stage.run.split(":")[0].rsplit(".", 1)[-1]


def processes(config: Config, stage: Stage) -> int:
    """Number of processes that the stage runs in."""
    return config.launch.processes if stage.distributed else 1


def settings_of(config: Config, stage: Stage) -> Any:
    """The stage's own settings."""
    found = getattr(config.stage, settings_key(stage).removeprefix("stage."))
    if not stage.changes:
        return found
    named = lab.REFERENCE if stage.name == offline.DATA else lab.trained()[stage.name]
    arm = lab.arms()[named]
    return lab.offline_settings(config.stage, arm) if arm.offline else lab.settings(found, arm)


def settings_key(stage: Stage) -> str:
    """Dotted path of the stage's settings."""
    return next(path for path in stage.config if path.startswith("stage."))


def _base(config: Config, stage: Stage) -> Work:
    model = models(config)[model_of_stage(stage)]
    if not model.made_here:
        return Work(f"copied from {model.path or model.hub}: nothing is trained")
    settings = settings_of(config, stage)
    said = f"{settings.tokens:,} tokens in batches of {settings.batch_tokens:,}"
    return Work(f"{said}, from random weights", pretrained=settings.tokens)


def _many(completions: int, cap: int) -> str:
    return f"{completions:,} completions of at most {cap:,} tokens"


def _problems(config: Config, split: str) -> int | None:
    """Problems of the split that an evaluation asks; None while the data are not known."""
    try:
        return len(some(getattr(worlds.of(config.task), split), config.evaluation.problems))
    except R1ReproError:
        return None


def _rl(config: Config, stage: Stage) -> Work:
    settings: RLConfig = settings_of(config, stage)
    shared_by = processes(config, stage)
    rows, cap = settings.questions * settings.generations, settings.last_cap
    mean = sum(map(settings.cap, range(settings.steps))) / settings.steps
    longest = settings.micro_batch_tokens // (prompt_tokens(config) + cap)
    fit = max(1, min(rows // shared_by, longest))
    completions, once = settings.batches * rows, settings.steps_per_generation
    return Work(
        f"{settings.questions} questions x {settings.generations} answers = {rows:,} completions "
        f"a step of at most {settings.max_completion_tokens:,} tokens"
        + (f", {cap:,} after {settings.raised_at:,} steps" if mean < cap else "")
        + (f", sampled for {once} steps at once" if once > 1 else "")
        + f", in micro-batches of at most {settings.micro_batch_tokens:,} tokens ({fit:,} of the "
        f"longest rows), {shared_by} {'process' if shared_by == 1 else 'processes'}; "
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
        f"GRPO sample {_many(completions, cap)}",
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
        f"{pairs.questions:,} questions x {pairs.samples} samples of the base = "
        f"{_many(completions, cap)}; pairs of their beginnings x {pairs.epochs} epochs",
        prompts=pairs.questions,
        completions=completions,
        cap=cap,
        learned=2 * pairs.questions * pairs.epochs,
        longest=cap,
    )


def _iterative(config: Config, stage: Stage) -> Work:
    settings, pairs = lab.of_round(config.stage.r1_zero), config.stage.reward_model
    asked, cap = settings.batches * settings.questions, settings.max_completion_tokens
    evaluated = _arm_evaluated(config, stage)
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
    made = sampled_for(config, stage.inputs[1])
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
    return sampled_for(config, stage.inputs[1]).max_completion_tokens


def sampled_for(config: Config, data: str) -> SamplesConfig:
    """How the data set of that stage is sampled."""
    if data == RFT_DATA:
        return as_many(config.stage.r1_zero, config.stage.base_rft.keep_all)
    settings: SamplesConfig = getattr(config.stage, data)
    return settings


def _samples(config: Config, stage: Stage) -> Work:
    settings: SamplesConfig = settings_of(config, stage)
    questions, cap = settings.questions, settings.max_completion_tokens
    completions = questions * settings.samples
    said = f"{questions:,} questions x {settings.samples} samples = {_many(completions, cap)}"
    limits = f"{settings.rollout_batch:,} at once; at most {settings.kept} of a question are kept"
    return Work(f"{said}, at most {limits}", questions, completions, cap)


def _rft_data(config: Config, _: Stage) -> Work:
    drawn = sampled_for(config, RFT_DATA)
    prompts, cap = drawn.questions, drawn.max_completion_tokens
    completions = prompts * drawn.samples
    said = f"{_many(completions, cap)} to {prompts:,} prompts"
    return Work(said, prompts, completions, cap)


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
    in_depth = stage.run.endswith(":in_depth")
    samples = settings.samples if in_depth else settings.samples_between
    each = settings.general_samples
    if stage.run.endswith(":greedy"):
        samples = each = 1  # the same answer every time
    problems = _problems(config, settings.split)
    if problems is None:
        return Work(f"{samples} samples per held-out problem, whose number is not yet known")
    general, cap = len(general_items(config)), settings.max_completion_tokens
    completions = problems * samples + general * each
    said = f"{problems:,} problems x {samples} and {general:,} general items x {each}"
    return Work(
        f"{said} = {_many(completions, cap)}",
        prompts=problems + general,
        completions=completions,
        cap=cap,
        general=general * each,
    )


def general_items(config: Config) -> Sequence[Problem]:
    """The general items that an evaluation asks."""
    asked = config.evaluation
    return some(getattr(worlds.of(config.task), f"general_{asked.split}"), asked.general_items)


def _arm_evaluated(config: Config, _: Stage) -> Work:
    """An arm of the lab, or the base, on the validation problems."""
    settings, problems = config.evaluation, _problems(config, "validation")
    samples, cap = settings.samples, settings.max_completion_tokens
    if problems is None:
        return Work(f"{samples} samples per validation problem, whose number is not yet known")
    completions = problems * samples
    said = f"{problems:,} validation problems x {samples} = {_many(completions, cap)}"
    return Work(said, problems, completions, cap)


def _curve(config: Config, _: Stage) -> Work:
    """The held-out curve: the base, R1-Zero and its snapshots on the validation problems."""
    settings, rl = config.evaluation, config.stage.r1_zero
    every = rl.snapshot_every
    policies = 2 + ((rl.steps - 1) // every if every else 0)
    problems, samples = _problems(config, "validation"), settings.curve_samples or 0
    if problems is None:
        return Work(f"{policies} policies on the validation problems, whose number is not known")
    prompts, cap = policies * problems, settings.max_completion_tokens
    said = f"{policies} policies x {problems:,} validation problems x {samples} samples"
    return Work(f"{said} = {_many(prompts * samples, cap)}", prompts, prompts * samples, cap)


def _search(config: Config, _: Stage) -> Work:
    """The search of the best prompt on the validation problems."""
    settings, problems = config.evaluation, _problems(config, "validation")
    if problems is None:
        return Work("every prompt on the validation problems, whose number is not yet known")
    asked = problems * len(checkpoints.ways(config, worlds.of(config.task)))
    # Greedy decoding, one of the temperatures, samples once.
    each = 1 + (len(TEMPERATURES) - 1) * settings.search_samples
    prompts, completions = asked * len(TEMPERATURES), asked * each
    cap = settings.max_completion_tokens
    said = f"{_many(completions, cap)} to {prompts:,} prompts"
    return Work(said, prompts, completions, cap)


def _offline_data(config: Config, stage: Stage) -> Work:
    rl: RLConfig = settings_of(config, stage)
    questions = rl.batches * rl.questions
    samples, cap = questions * rl.generations, rl.last_cap
    return Work(f"{_many(samples, cap)} to {questions:,} questions", questions, samples, cap)


def _offline(config: Config, stage: Stage) -> Work:
    rl = lab.settings(config.stage.r1_zero, lab.arms()[lab.REFERENCE])
    arm, settings = lab.arms()[lab.trained()[stage.name]], settings_of(config, stage)
    every = rl.batches * rl.questions * (1 if arm.offline == "sft" else rl.generations)
    examples = max(1, round(arm.share * every))
    return Work(
        f"{str(arm.offline).upper()} on at most {examples:,} examples of "
        f"{offline.DATA} x {settings.epochs} epochs, {settings.batch_size} a step",
        learned=examples * settings.epochs,
        longest=rl.last_cap,
    )


_WORKS = {
    "base_model": _base,
    "baselines": _evaluate,
    "baselines:rft_data": _rft_data,
    "baselines:search": _search,
    "cold_start_data": _samples,
    "evaluate": _evaluate,
    "evaluate:curve": _curve,
    "evaluate:validation": _arm_evaluated,
    "iterative": _iterative,
    "offline": _offline,
    "offline:data": _offline_data,
    lab.PROCESS: _process_model,
    "rejection_sampling": _samples,
    "reward_model": _reward_model,
    "rl": _rl,
    "sft": _sft,
    "why_rl": _why_rl,
}
"""By module of a stage's function, or by module and function."""


def prompt_tokens(config: Config) -> int:
    """Assumed length of the longest prompt, in tokens."""
    return LONGEST_PROMPT if config.model.made_here else PROMPT
