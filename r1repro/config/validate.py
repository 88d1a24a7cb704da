"""Checks of a whole configuration: every value, and those that go together."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from r1repro import records
from r1repro.config import lab
from r1repro.config.folder import check_gguf, check_kind
from r1repro.config.groups import GROUPS, HUB_SCALES, check_choice, refused
from r1repro.config.models import TEACHER, from_elsewhere, models
from r1repro.config.objective import CAME_LATER, PLAIN_OBJECTIVE, ObjectiveConfig
from r1repro.config.ranges import OneOf, Within
from r1repro.config.schema import (
    CAPS,
    GGUF,
    LONGEST_PROMPT,
    BaseConfig,
    Config,
    RLConfig,
    SFTConfig,
)

Wrong = Iterator[tuple[str, object, str]]
"""Settings that are refused, each with its value and what is accepted."""
KINDS = f"{', '.join(records.SUFFIXES[:-1])} or {records.SUFFIXES[-1]}"
ALONE = "null with models trained here, which know only the mini world"


def validate(config: Config) -> None:
    """Raise R1ReproError for values that are out of range or incompatible.

    The files that they name are left to `check_places`, since a run is also read without them.
    """
    for wrong in _check_values(config):
        raise refused(*wrong)
    for group in GROUPS:
        check_choice(group, config.scale if group == "scale" else getattr(config, group).name)
    for check in (
        _check_shapes, _check_stages, _check_models, _check_task, _check_teacher, _check_general,
        _check_ablations, _check_engine, _check_objectives, _check_lab,
        _check_positions,
    ):  # fmt: skip
        for wrong in check(config):
            raise refused(*wrong)


def check_places(config: Config) -> None:
    """Raise R1ReproError for a file that is not there, or a folder that is no model's."""
    for wrong in _check_files(config):
        raise refused(*wrong)
    for key, origin in from_elsewhere(config).items():
        if origin.path is not None:
            check_model_folder(key, origin.path)


def _check_files(config: Config) -> Wrong:
    task, traces = config.task, config.student.traces
    for key, path in (("path", task.path), ("test_path", task.test_path)):
        if path is not None and not Path(path).is_file():
            yield f"task.{key}", path, f"an existing file, {KINDS}"
    file = Path(traces or "")
    if file.suffix in records.SUFFIXES and not file.is_file():
        yield "student.traces", traces, "an existing file, or a data set of the hub"
    for name in ("sft", "pairs"):
        path = getattr(config.general, name)
        if path is not None and not Path(path).is_file():
            yield f"general.{name}", path, f"an existing file, {KINDS}"


def _check_values(config: Config) -> Wrong:
    for key, value, accepted in _leaves(config):
        if value is not None and accepted is not None and not accepted.accepts(value):
            yield key, value, accepted.said


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any, Within | OneOf | None]]:
    """Every setting's key, its value, and what stands beside it in the schema."""
    hints = get_type_hints(type(node), include_extras=True)
    for name in (f.name for f in fields(node)):
        value, hint = getattr(node, name), hints[name]
        if is_dataclass(value):
            yield from _leaves(value, f"{prefix}{name}.")
            continue
        # An optional number is a union that has the annotated type among its members.
        kinds = [kind for kind in (hint, *get_args(hint)) if get_origin(kind) is Annotated]
        yield prefix + name, value, kinds[0].__metadata__[0] if kinds else None


def _check_stages(config: Config) -> Wrong:
    shared = f"a multiple of launch.processes={config.launch.processes}"
    for name, node in vars(config.stage).items():
        key = f"stage.{name}"
        if isinstance(node, RLConfig) and node.questions % config.launch.processes:
            yield f"{key}.questions", node.questions, shared
        if isinstance(node, RLConfig):
            yield from _check_rl(key, node)
        if isinstance(node, SFTConfig) and node.batch_size % config.launch.processes:
            yield f"{key}.batch_size", node.batch_size, shared
        if isinstance(node, BaseConfig) and node.save_every % node.log_every:
            accepted = f"a multiple of {key}.log_every={node.log_every}"
            yield f"{key}.save_every", node.save_every, accepted


def _check_rl(key: str, grpo: RLConfig) -> Wrong:
    at_once = f"a multiple of steps_per_generation={grpo.steps_per_generation}"
    if grpo.objective.passes > 1:
        at_once += f" times objective.passes={grpo.objective.passes}"
    if grpo.save_every % grpo.updates_per_generation:
        reason = "since a run can resume bit for bit only there"
        yield f"{key}.save_every", grpo.save_every, f"{at_once}, {reason}"
    if grpo.steps % grpo.updates_per_generation:
        reason = "since completions are sampled for that many steps at once"
        yield f"{key}.steps", grpo.steps, f"{at_once}, {reason}"
    if (grpo.raised_at is None) != (grpo.raised_cap is None):
        other = "raised_cap" if grpo.raised_cap is None else "raised_at"
        yield f"{key}.{other}", "null", "a number, since one says when and the other how far"
    if grpo.raised_cap is not None and grpo.raised_cap < grpo.max_completion_tokens:
        least = f"at least {key}.max_completion_tokens={grpo.max_completion_tokens}"
        yield f"{key}.raised_cap", grpo.raised_cap, least
    if grpo.accuracy_weight == grpo.format_weight == 0:
        yield f"{key}.accuracy_weight", 0, f"more than 0 with {key}.format_weight=0"


def _check_objectives(config: Config) -> Wrong:
    for name, node in vars(config.stage).items():
        if isinstance(node, RLConfig):
            yield from check_objective(f"stage.{name}.objective", node.objective, config)


def check_objective(key: str, variant: ObjectiveConfig, config: Config) -> Wrong:
    """Check an objective's settings with each other, with the task and with the engine."""
    engine, kind = config.engine, variant.advantage
    if kind == "gae":
        for name, needed in (("kl_in", "reward"), ("kl", "k1")):
            reason = "since PPO takes log(pi / pi_ref) of each token out of its reward"
            if getattr(variant, name) != needed:
                accepted = f"{needed} with advantage=gae, {reason}"
                yield f"{key}.{name}", getattr(variant, name), accepted
        alone = config.launch.processes == 1 and not engine.lora_rank
        if not alone or engine.gradient_checkpointing or engine.rollouts != "own":
            yield (
                f"{key}.advantage",
                kind,
                "gae only with launch.processes=1, engine.lora_rank=0, engine.rollouts=own and "
                "engine.gradient_checkpointing=false, for which the critic is built",
            )
    for name in CAME_LATER if kind != "gae" else ():
        default = getattr(PLAIN_OBJECTIVE, name)
        if getattr(variant, name) != default:
            accepted = f"{default:g}, its default, unless advantage=gae, which alone reads it"
            yield f"{key}.{name}", getattr(variant, name), accepted
    if kind == "process" and variant.kl_in != "loss":
        accepted = "loss with advantage=process, whose rewards are those of steps"
        yield f"{key}.kl_in", variant.kl_in, accepted
    if kind == "process" and (config.task.train or config.task.path):
        accepted = "process only with task=mini, the only one whose steps can be checked"
        yield f"{key}.advantage", kind, accepted


def _check_lab(config: Config) -> Wrong:
    """Check the arms that are trained, as changed by the settings of R1-Zero and of the engine."""
    for name, arm in lab.shown_in(config.lab).items():
        settings, key = lab.settings(config.stage.r1_zero, arm), f"{lab.PLACE}, {name}"
        if arm.offline == "sft" and (config.task.train or config.task.path):
            accepted = "a notebook without SFT, whose worked answers only task=mini has"
            yield "lab", config.lab, f"{accepted}, with {key}"
        if settings.steps == 0:
            accepted = f"as many batches as steps_per_generation={settings.steps_per_generation}"
            yield "stage.r1_zero.steps", config.stage.r1_zero.steps, f"{accepted} with {key}"
        yield from _check_rl(key, settings)
        yield from check_objective(f"{key}: objective", settings.objective, config)


def _check_models(config: Config) -> Wrong:
    """Check that the models go together, and with the scale."""
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


def _check_task(config: Config) -> Wrong:
    task = config.task
    if task.name == "own" and task.path is None:
        yield "task.path", "null", "a file of questions and answers with task=own"
    endless = task.train is None or task.train.startswith(("reasoning_gym:", "word_problems:"))
    if task.test is not None and task.path is None and endless:
        yield (
            "task.test",
            task.test,
            "null with this task, whose problems are generated without end",
        )
    if task.test_path is not None and task.path is None:
        yield "task.test_path", task.test_path, "null unless task.path is set"
    if config.model.made_here and (task.path or task.train):
        yield (
            "task",
            task.name,
            f"mini with model={config.model.name}, which is trained here and knows only the mini "
            "world; for any other task add scale=gpu and a pretrained model, model=qwen2.5-0.5b or "
            "model=local model.path=FOLDER",
        )


def _check_teacher(config: Config) -> Wrong:
    traces, teacher = config.student.traces, config.student.teacher
    if traces is not None and config.model.made_here:
        yield "student.traces", traces, ALONE
    if teacher is not None and traces is not None:
        yield (
            TEACHER,
            teacher,
            "null with student.traces, since the students learn from one of the two",
        )
    if teacher is not None and config.model.made_here:
        yield TEACHER, teacher, ALONE


def _check_general(config: Config) -> Wrong:
    for name in ("sft", "pairs"):
        path = getattr(config.general, name)
        if path is not None and config.model.made_here:
            yield f"general.{name}", path, ALONE


def _check_ablations(config: Config) -> Wrong:
    """Check the ablations that need the mini world's solutions or a base made here."""
    for name in ("base_forced", "few_shot") if config.task.train or config.task.path else ():
        if getattr(config.ablation, name):
            yield f"ablation.{name}", "true", "false unless task=mini, which has worked solutions"
    if config.ablation.small_base and not config.model.made_here:
        accepted = f"false with model={config.model.name}: only a base made here has a smaller one"
        yield "ablation.small_base", "true", accepted


def _check_shapes(config: Config) -> Wrong:
    for key, model in models(config).items():
        if model.heads % model.kv_heads:
            yield f"{key}.kv_heads", model.kv_heads, f"a divisor of {key}.heads={model.heads}"
        if model.head_dim % 2:
            yield f"{key}.head_dim", model.head_dim, "an even number (rotary positions)"


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
    f"{student}_{arm}": f"student.{student}"
    for student in ("qwen", "llama")
    for arm in ("rl", "distilled_rl")
}
"""The models of the RL stages that do not train the main one."""


def _check_positions(config: Config) -> Wrong:
    """Check that completions fit the models' positions; those of folders: planning.folders."""
    nodes = [
        (f"stage.{name}", node, _POLICY.get(name, "model"))
        for name, node in vars(config.stage).items()
    ]
    for key, node, policy in [*nodes, ("evaluation", config.evaluation, "model")]:
        caps = ((cap, getattr(node, cap, None) or 0) for cap in CAPS)
        for (cap, tokens), (name, model) in product(caps, models(config).items()):
            if cap == "raised_cap" and name != policy:
                continue  # what a stage says later no other model reads
            said, most = f"{name}.max_position={model.max_position}", model.max_position
            if model.hub is not None:
                said = f"{said} of {model.name}"
            else:
                most -= LONGEST_PROMPT
                said = (
                    f"{most}, that is {said} less {LONGEST_PROMPT} for the prompt, unless model= "
                    "names one of the hub or model.path= gives one of yours"
                )
            if model.path is None and tokens > most:
                yield f"{key}.{cap}", tokens, f"at most {said}"


def check_model_folder(key: str, path: str) -> None:
    """Raise R1ReproError unless this is a model folder whose tokenizer can write tags and sums.

    A GGUF file must only be one: its tokenizer is checked once it is converted.
    """
    folder = Path(path).expanduser()
    if path.endswith(GGUF):
        check_gguf(key, path)
        return
    check_kind(key, path)
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises nothing narrower, for example on a pointer file
        raise refused(
            key,
            path,
            "a model folder whose tokenizer.json can be read: copy or download it again (in a Git "
            "checkout `git lfs pull`)",
        ) from error
    # The characters and tags of the mini world's problems and answers.
    for text in ("0123456789", "+-*=", "(1)", "<think>", "</think>", "<answer>", "</answer>", "数"):
        read = tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids)
        if "".join(read.split()) != text:
            accepted = "a model whose tokenizer round-trips the tasks' characters"
            raise refused(key, path, f"{accepted}; this one decodes {text!r} as {read!r}")
