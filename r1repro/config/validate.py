"""Checks of a whole configuration: settings that go together, and the files that they name."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

from r1repro import row_files
from r1repro.config import lab
from r1repro.config.folder import check_model_folder
from r1repro.config.groups import GROUPS, check_choice
from r1repro.config.models import TEACHER, from_elsewhere, models
from r1repro.config.objective import PLAIN_OBJECTIVE, ObjectiveConfig
from r1repro.config.ranges import OneOf, refused
from r1repro.config.schema import (
    CAPS,
    LONGEST_PROMPT,
    BaseConfig,
    Config,
    RLConfig,
    SFTConfig,
)

Wrong = Iterator[tuple[str, object, str]]
"""Settings that are refused, each with its value and what is accepted."""
HUB_SCALES = ("smoke", "pocket", "gpu", "paper")
"""The scales that a pretrained model can be trained at."""
FILE = f"an existing file, {', '.join(row_files.SUFFIXES[:-1])} or {row_files.SUFFIXES[-1]}"
ALONE = "null with models trained here, which know only the mini world"


def validate(config: Config) -> None:
    """Raise R1ReproError for settings that do not go together.

    The files that they name are left to `check_places`, since a run is also read without them.
    """
    for group in GROUPS:
        check_choice(group, config.scale if group == "scale" else getattr(config, group).name)
    for check in (
        _check_models, _check_stages, _check_data, _check_ablations, _check_engine, _check_lab,
        _check_positions,
    ):  # fmt: skip
        for wrong in check(config):
            raise refused(*wrong)


def check_places(config: Config) -> None:
    """Raise R1ReproError for a file that is not there, or a folder that is no model's."""
    files = {
        "task.path": config.task.path,
        "task.test_path": config.task.test_path,
        "general.sft": config.general.sft,
        "general.pairs": config.general.pairs,
    }
    for key, path in files.items():
        if path is not None and not Path(path).is_file():
            raise refused(key, path, FILE)
    traces = Path(config.student.traces or "")
    if traces.suffix in row_files.SUFFIXES and not traces.is_file():
        raise refused("student.traces", traces, "an existing file, or a data set of the hub")
    for key, origin in from_elsewhere(config).items():
        if origin.path is not None:
            check_model_folder(key, origin.path)


def _check_stages(config: Config) -> Wrong:
    shared = f"a multiple of launch.processes={config.launch.processes}"
    for name, node in vars(config.stage).items():
        key = f"stage.{name}"
        if isinstance(node, RLConfig):
            if node.questions % config.launch.processes:
                yield f"{key}.questions", node.questions, shared
            yield from _check_rl(f"{key}.", node, config)
        if isinstance(node, SFTConfig) and node.batch_size % config.launch.processes:
            yield f"{key}.batch_size", node.batch_size, shared
        if isinstance(node, BaseConfig) and node.save_every % node.log_every:
            accepted = f"a multiple of {key}.log_every={node.log_every}"
            yield f"{key}.save_every", node.save_every, accepted


def _check_rl(prefix: str, grpo: RLConfig, config: Config) -> Wrong:
    at_once = f"a multiple of steps_per_generation={grpo.steps_per_generation}"
    if grpo.objective.passes > 1:
        at_once += f" times objective.passes={grpo.objective.passes}"
    if grpo.save_every % grpo.updates_per_generation:
        reason = "since a run can resume bit for bit only there"
        yield f"{prefix}save_every", grpo.save_every, f"{at_once}, {reason}"
    if grpo.steps % grpo.updates_per_generation:
        reason = "since completions are sampled for that many steps at once"
        yield f"{prefix}steps", grpo.steps, f"{at_once}, {reason}"
    if (grpo.raised_at is None) != (grpo.raised_cap is None):
        other = "raised_cap" if grpo.raised_cap is None else "raised_at"
        yield f"{prefix}{other}", "null", "a number, since one says when and the other how far"
    if grpo.raised_cap is not None and grpo.raised_cap < grpo.max_completion_tokens:
        least = f"at least {prefix}max_completion_tokens={grpo.max_completion_tokens}"
        yield f"{prefix}raised_cap", grpo.raised_cap, least
    if grpo.accuracy_weight == grpo.format_weight == 0:
        yield f"{prefix}accuracy_weight", 0, f"more than 0 with {prefix}format_weight=0"
    yield from _check_objective(f"{prefix}objective.", grpo.objective, config)


def _check_objective(prefix: str, variant: ObjectiveConfig, config: Config) -> Wrong:
    """Check an objective's settings with each other, with the task and with the engine."""
    engine, kind = config.engine, variant.advantage
    if kind == "gae":
        for name, needed in (("kl_in", "reward"), ("kl", "k1")):
            reason = "since PPO takes log(pi / pi_ref) of each token out of its reward"
            if getattr(variant, name) != needed:
                accepted = f"{needed} with advantage=gae, {reason}"
                yield f"{prefix}{name}", getattr(variant, name), accepted
        alone = config.launch.processes == 1 and not engine.lora_rank
        if not alone or engine.gradient_checkpointing or engine.rollouts != "own":
            yield (
                f"{prefix}advantage",
                kind,
                "gae only with launch.processes=1, engine.lora_rank=0, engine.rollouts=own and "
                "engine.gradient_checkpointing=false, for which the critic is built",
            )
    for name in ("lam", "critic_lr") if kind != "gae" else ():
        default = getattr(PLAIN_OBJECTIVE, name)
        if getattr(variant, name) != default:
            accepted = f"{default:g}, its default, unless advantage=gae, which alone reads it"
            yield f"{prefix}{name}", getattr(variant, name), accepted
    if kind == "process" and variant.kl_in != "loss":
        accepted = "loss with advantage=process, whose rewards are those of steps"
        yield f"{prefix}kl_in", variant.kl_in, accepted
    if kind == "process" and not config.task.is_mini:
        accepted = "process only with task=mini, the only one whose steps can be checked"
        yield f"{prefix}advantage", kind, accepted


def _check_lab(config: Config) -> Wrong:
    """Check the arms that are trained, as changed by the settings of R1-Zero and of the engine."""
    for name, arm in lab.shown_in(config.lab).items():
        settings, at = lab.settings(config.stage.r1_zero, arm), f"{lab.PLACE}, {name}"
        if arm.offline == "sft" and not config.task.is_mini:
            accepted = "a notebook without SFT, whose worked answers only task=mini has"
            yield "lab", config.lab, f"{accepted}, with {at}"
        if settings.steps == 0:
            accepted = f"as many batches as steps_per_generation={settings.steps_per_generation}"
            yield "stage.r1_zero.steps", config.stage.r1_zero.steps, f"{accepted} with {at}"
        yield from _check_rl(f"{at}: ", settings, config)


def _check_models(config: Config) -> Wrong:
    """Check the models' shapes, and that they go together and with the scale."""
    for key, model in models(config).items():
        if model.heads % model.kv_heads:
            yield f"{key}.kv_heads", model.kv_heads, f"a divisor of {key}.heads={model.heads}"
        if model.head_dim % 2:
            yield f"{key}.head_dim", model.head_dim, "an even number (rotary positions)"
    sources = {key: model.path or model.hub for key, model in models(config).items()}
    if None in sources.values() and any(sources.values()):
        key = next(key for key, source in sources.items() if source is None)
        other = next(key for key, source in sources.items() if source)
        yield (
            f"{key}.path",
            "null",
            f"a model folder, or {key}.hub a model of the hub, since {other} is pretrained: models "
            "trained here and pretrained ones use different prompts and cannot be mixed",
        )
    if config.scale == "pocket" and config.model.made_here:
        yield (
            "scale",
            "pocket",
            "laptop with a model made here, since pocket's rates and lengths are for pretrained "
            "ones such as model=qwen2.5-coder-0.5b",
        )
    if config.student.name == "hub" and config.scale not in HUB_SCALES:
        yield (
            "scale",
            config.scale,
            f"{OneOf(HUB_SCALES).said} with model={config.model.name}, since the other scales "
            "have learning rates and lengths for the models trained here",
        )


def _check_data(config: Config) -> Wrong:
    """Check the task, a stronger teacher and general data of a person's own."""
    task, student = config.task, config.student
    if task.name == "own" and task.path is None:
        yield "task.path", "null", "a file of questions and answers with task=own"
    endless = task.train is None or task.train.startswith(("reasoning_gym:", "word_problems:"))
    if task.test is not None and task.path is None and endless:
        accepted = "null with this task, whose problems are generated without end"
        yield "task.test", task.test, accepted
    if task.test_path is not None and task.path is None:
        yield "task.test_path", task.test_path, "null unless task.path is set"
    if config.model.made_here and not task.is_mini:
        yield (
            "task",
            task.name,
            f"mini with model={config.model.name}, which is trained here and knows only the mini "
            "world; for any other task add scale=gpu and a pretrained model, model=qwen2.5-0.5b or "
            "model=local model.path=FOLDER",
        )
    if student.teacher is not None and student.traces is not None:
        accepted = "null with student.traces, since the students learn from one of the two"
        yield TEACHER, student.teacher, accepted
    if config.model.made_here:
        for node, name in (
            ("student", "traces"), ("student", "teacher"), ("general", "sft"), ("general", "pairs"),
        ):  # fmt: skip
            if (value := getattr(getattr(config, node), name)) is not None:
                yield f"{node}.{name}", value, ALONE


def _check_ablations(config: Config) -> Wrong:
    """Check the ablations that need the mini world's solutions or a base made here."""
    for name in ("base_forced", "few_shot"):
        if getattr(config.ablation, name) and not config.task.is_mini:
            yield f"ablation.{name}", "true", "false unless task=mini, which has worked solutions"
    if config.ablation.small_base and not config.model.made_here:
        accepted = f"false with model={config.model.name}: only a base made here has a smaller one"
        yield "ablation.small_base", "true", accepted


def _check_engine(config: Config) -> Wrong:
    """Check combinations; r1repro.stages.engines checks what is installed."""
    engine, launch = config.engine, config.launch
    if engine.quantized and engine.lora_rank == 0:
        reason = "since weights in 4 bits are not trained themselves"
        yield "engine.quantized", "true", f"false unless engine.lora_rank is above 0, {reason}"
    if engine.sharded and (launch.processes == 1 or engine.lora_rank or engine.unsloth):
        whole = "whole weights are trained (engine.lora_rank=0, engine.unsloth=false)"
        yield "engine.sharded", "true", f"false unless launch.processes is above 1 and {whole}"
    if engine.rollouts != "own" and engine.quantized:
        reason = "since weights in 4 bits are not handed to vLLM"
        yield "engine.rollouts", engine.rollouts, f"own with engine.quantized=true, {reason}"
    if engine.attention == "flash_attention_2" and engine.precision == "float32":
        accepted = "sdpa or eager with engine.precision=float32"
        yield "engine.attention", engine.attention, accepted


_POLICY = {
    f"stage.{student}_{arm}": f"student.{student}"
    for student in ("qwen", "llama")
    for arm in ("rl", "distilled_rl")
}
"""The models of the RL stages that do not train the main one."""


def _check_positions(config: Config) -> Wrong:
    """Check that completions fit the models' positions; those of folders: planning.folders."""
    nodes = {f"stage.{name}": node for name, node in vars(config.stage).items()}
    nodes["evaluation"] = config.evaluation
    for (key, node), cap, (name, model) in product(nodes.items(), CAPS, models(config).items()):
        if model.path is not None or (cap == "raised_cap" and name != _POLICY.get(key, "model")):
            continue  # completions under a raised cap are read by no other model
        most, said = model.max_position, f"{name}.max_position={model.max_position}"
        if model.hub is not None:
            said = f"{said} of {model.name}"
        else:
            most -= LONGEST_PROMPT
            said = (
                f"{most}, that is {said} less {LONGEST_PROMPT} for the prompt, unless model= "
                "names one of the hub or model.path= gives one of yours"
            )
        if (tokens := getattr(node, cap, None) or 0) > most:
            yield f"{key}.{cap}", tokens, f"at most {said}"
