"""Checks of a whole configuration: every value, and those that go together."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from r1repro import records
from r1repro.config.groups import GROUPS, HUB_SCALES, check_choice, refused
from r1repro.config.models import TEACHER, from_elsewhere, models
from r1repro.config.objective import BUILT
from r1repro.config.ranges import OneOf, Within
from r1repro.config.schema import (
    LONGEST_PROMPT,
    BaseConfig,
    Config,
    ModelConfig,
    RLConfig,
    SFTConfig,
)

ALONE = "null with models made here, which read the mini world alone"


def validate(config: Config) -> None:
    """Raise R1ReproError for values that are out of range or incompatible."""
    _check_values(config)
    for group in GROUPS:
        check_choice(group, config.scale if group == "scale" else getattr(config, group).name)
    for key, model in models(config).items():
        _check_shape(key, model)
    for name, node in vars(config.stage).items():
        _check_stage(f"stage.{name}", node, config.launch.processes)
    _check_models(config)
    _check_task(config)
    _check_teacher(config)
    _check_engine(config)
    _check_positions(config)
    for key, origin in from_elsewhere(config).items():
        if origin.path is not None:
            check_model_folder(key, origin.path)


def _check_values(config: Config) -> None:
    for key, value, accepted in _leaves(config):
        if value is not None and accepted is not None and not accepted.accepts(value):
            raise refused(key, value, accepted.said)


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


def _check_stage(key: str, node: Any, processes: int) -> None:
    if isinstance(node, RLConfig):
        _check_rl(key, node, processes)
    if isinstance(node, SFTConfig) and node.batch_size % processes:
        raise refused(
            f"{key}.batch_size", node.batch_size, f"a multiple of launch.processes={processes}"
        )
    if isinstance(node, BaseConfig) and node.save_every % node.log_every:
        accepted = f"a multiple of {key}.log_every={node.log_every}"
        raise refused(f"{key}.save_every", node.save_every, accepted)


def _check_rl(key: str, grpo: RLConfig, processes: int) -> None:
    if grpo.questions % processes:
        raise refused(
            f"{key}.questions", grpo.questions, f"a multiple of launch.processes={processes}"
        )
    if grpo.objective.advantage not in BUILT:
        raise refused(
            f"{key}.objective.advantage",
            grpo.objective.advantage,
            f"{OneOf(BUILT).said}: process takes rewards of steps and gae a critic, which the "
            "trainer does not have yet",
        )
    at_once = f"a multiple of steps_per_generation={grpo.steps_per_generation}"
    if grpo.objective.passes > 1:
        at_once += f" times objective.passes={grpo.objective.passes}"
    if grpo.save_every % grpo.updates_per_generation:
        reason = "since only there a run can resume bit for bit"
        raise refused(f"{key}.save_every", grpo.save_every, f"{at_once}, {reason}")
    if grpo.steps % grpo.updates_per_generation:
        reason = "since completions are sampled for that many steps at once"
        raise refused(f"{key}.steps", grpo.steps, f"{at_once}, {reason}")
    if grpo.accuracy_weight == grpo.format_weight == 0:
        raise refused(f"{key}.accuracy_weight", 0, "one of the two reward weights above zero")


def _check_models(config: Config) -> None:
    """Check that the models go together, and with the scale."""
    sources = {key: model.path or model.hub for key, model in models(config).items()}
    if None in sources.values() and any(sources.values()):
        key = next(key for key, source in sources.items() if source is None)
        other = next(key for key, source in sources.items() if source)
        raise refused(
            f"{key}.path",
            "null",
            f"a model folder, like {other}, or {key}.hub a model of the hub: models made here and "
            "others are asked in different templates and do not go together",
        )
    if config.student.name == "hub" and config.scale not in HUB_SCALES:
        raise refused(
            "scale",
            config.scale,
            f"{OneOf(HUB_SCALES).said} with model={config.model.name}, since the other scales "
            "have the rates and lengths of the mini world",
        )


def _check_task(config: Config) -> None:
    task = config.task
    for key, path in (("path", task.path), ("test_path", task.test_path)):
        if path is not None and not Path(path).is_file():
            raise refused(f"task.{key}", path, "a file that is there, .jsonl, .json or .parquet")
    if task.name == "own" and task.path is None:
        raise refused("task.path", "null", "with task=own a file of questions and answers")
    endless = task.train is None or task.train.startswith("reasoning_gym:")
    if task.test is not None and task.path is None and endless:
        raise refused("task.test", task.test, "null where problems are drawn without end")
    if task.test_path is not None and task.path is None:
        raise refused("task.test_path", task.test_path, "a file only beside task.path")
    if config.model.made_here and (task.path or task.train):
        raise refused(
            "task",
            task.name,
            f"mini with model={config.model.name}, which is made here and knows the mini world "
            "alone; scale=gpu model=qwen2.5-0.5b, or another of the hub, or model=local with "
            "model.path=FOLDER takes any task",
        )


def _check_teacher(config: Config) -> None:
    traces, teacher = config.student.traces, config.student.teacher
    if traces is not None and config.model.made_here:
        raise refused("student.traces", traces, ALONE)
    file = Path(traces or "")
    if file.suffix in records.SUFFIXES and not file.is_file():
        raise refused("student.traces", traces, "a file that is there, or a data set of the hub")
    if teacher is not None and traces is not None:
        raise refused(TEACHER, teacher, "null with student.traces: the students learn from one")
    if teacher is not None and config.model.made_here:
        raise refused(TEACHER, teacher, ALONE)


def _check_shape(key: str, model: ModelConfig) -> None:
    if model.heads % model.kv_heads:
        raise refused(f"{key}.kv_heads", model.kv_heads, f"a divisor of {key}.heads={model.heads}")
    if model.head_dim % 2:
        raise refused(f"{key}.head_dim", model.head_dim, "an even number (rotary positions)")


def _check_engine(config: Config) -> None:
    """Check combinations; r1repro.stages.engines checks what is installed."""
    engine, launch = config.engine, config.launch
    if engine.quantized and engine.lora_rank == 0:
        raise refused(
            "engine.quantized", "true", "false unless engine.lora_rank is above 0, since weights "
            "in 4 bits are not trained themselves",
        )  # fmt: skip
    if engine.sharded and (launch.processes == 1 or engine.lora_rank or engine.unsloth):
        raise refused(
            "engine.sharded", "true", "false unless launch.processes is above 1 and whole weights "
            "are trained (engine.lora_rank=0, engine.unsloth=false)",
        )  # fmt: skip
    if engine.rollouts != "own" and engine.quantized:
        raise refused(
            "engine.rollouts", engine.rollouts, "own with engine.quantized=true, since weights in "
            "4 bits are not handed to vLLM",
        )  # fmt: skip
    if engine.attention == "flash_attention_2" and engine.precision == "float32":
        raise refused(
            "engine.attention", engine.attention, "sdpa or eager with engine.precision=float32"
        )


def _check_positions(config: Config) -> None:
    """Check that completions fit the models' positions; models from folders are not checked."""
    nodes = [(f"stage.{name}", node) for name, node in vars(config.stage).items()]
    for key, node in [*nodes, ("evaluation", config.evaluation)]:
        tokens = getattr(node, "max_completion_tokens", 0)
        for name, model in models(config).items():
            if model.path is not None:
                continue
            accepted, most = f"{name}.max_position={model.max_position}", model.max_position
            if model.hub is not None:
                accepted = f"{accepted} of {model.name}"
            else:
                most -= LONGEST_PROMPT
                accepted = (
                    f"{most}, that is {accepted} less {LONGEST_PROMPT} for the prompt, unless "
                    "model= names one of the hub or model.path= gives one of yours"
                )
            if tokens > most:
                raise refused(f"{key}.max_completion_tokens", tokens, f"at most {accepted}")


def check_model_folder(key: str, path: str) -> None:
    """Raise R1ReproError unless this is a model folder whose tokenizer can write tags and sums."""
    folder = Path(path).expanduser()
    missing = [f for f in ("config.json", "tokenizer.json") if not (folder / f).is_file()]
    if missing:
        raise refused(
            key, path, f"a model folder in HF format; it has no {' and no '.join(missing)}"
        )
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises nothing narrower, for example on a pointer file
        raise refused(key, path, "a model folder whose tokenizer.json can be read") from error
    # The characters and tags of the mini world's problems and answers.
    for text in ("0123456789", "+-*=", "(1)", "<think>", "</think>", "<answer>", "</answer>", "数"):
        read = tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids)
        if "".join(read.split()) != text:
            raise refused(
                key,
                path,
                f"a model whose tokenizer round-trips the tasks' characters; this one decodes "
                f"{text!r} as {read!r}",
            )
