"""Predicts a run: its stages, their work, memory and time.

Nothing is written, except that the probe of a GGUF file converts it; only the probe trains, for
about ten seconds, or a minute with pretrained models.
"""

import random
from collections.abc import Iterator, Sequence
from itertools import combinations, groupby, islice
from typing import Any

import torch

from r1repro import artifacts, cores
from r1repro.config import TEACHER, Config, RLConfig, changed, rows_together, with_teacher
from r1repro.duration import duration
from r1repro.errors import R1ReproError
from r1repro.planning import expected, folders, pretrained
from r1repro.planning.expected import Expected
from r1repro.planning.memory import Memory
from r1repro.planning.needs import counted, here, model_of, needs
from r1repro.planning.pretrained import NAMES
from r1repro.planning.probe import Speed, probe
from r1repro.planning.work import (
    Work,
    kind,
    prompt_tokens,
    settings_key,
    settings_of,
    work,
)
from r1repro.runner import sequence
from r1repro.runner.graph import Stage, find, graph, model_of_stage
from r1repro.runner.workspace import Workspace
from r1repro.tasks import filters, worlds
from r1repro.training.shape import shape_file

CARDS = (24, 40, 80, 141)
"""Memory of the cards, in GB, to plan for if no GPU is present and none is given."""
GIB = 2**30
SPREAD = 1.25
"""Error factor of a predicted time: predictions were 0.85 to 1.22 of the time that real steps of
the laptop run's training stages took within the same minutes."""
LOADING, FORKED = 6.0, 1.0
"""Startup time of a stage in seconds: in a new process, and forked from the fork server."""


def plan(
    config: Config,
    card: float | None = None,
    probed: bool = True,
    from_stage: str | None = None,
    until: str | None = None,
) -> Iterator[str]:
    """Yields the lines of the plan of a run with that `from_stage` and `until`.

    card: memory to plan for, in GB; None plans for the GPU of this machine, else for CARDS. Raises
    R1ReproError for a stage that does not exist or a model that `folders.check` refuses.
    """
    space = Workspace(config)
    names = sequence.wanted_stages(space, from_stage, until)
    folders.check(config)
    rebuilt = {name for name in names if from_stage in space.with_inputs(name)}
    left = [name for name in names if name in rebuilt or not space.is_done(name)]
    works = {name: work(config, find(name, config)) for name in names}
    yield f"scale={config.scale} model={config.model.name} task={config.task.name}"
    yield f"{len(names)} stages, {len(names) - len(left)} of them cached"
    yield f"precision: {config.engine.precision}"
    yield from _task_lines(config)
    for notebook, stages in groupby(names, key=lambda name: find(name, config).notebook):
        yield f"\n{notebook or 'no notebook'}"
        for name in stages:
            standing = _standing(config, name, name in left, name in rebuilt)
            yield f"  {name:<{NAMES}}{standing:<10} {works[name].said}".rstrip()
    yield from _parameter_lines(config)
    yield from _memory_lines(config, names, card)
    ahead, prompt = {name: works[name] for name in left}, prompt_tokens(config)
    sampled = sum(one.completions * (one.cap - one.below) for one in ahead.values())
    learned = sum(
        one.pretrained + one.learned * (one.longest - one.below + prompt) for one in ahead.values()
    )
    yield "\ntokens of the remaining stages, every completion at its cap"
    yield f"  {sampled:,.0f} sampled, {learned:,.0f} trained on, including prompts of {prompt}"
    yield from _time_lines(config, ahead, probed)


def _parameter_lines(config: Config) -> Iterator[str]:
    yield "\nparameters, counted without loading weights"
    used = {model_of_stage(stage) for stage in graph(config).values()}
    for key, model in with_teacher(config).items():
        if key not in used:  # the lab has no students
            continue
        file = shape_file(model_of(config, key))
        if key == TEACHER and file is None:
            remedy = "run `r1repro fetch` with these settings"
            reason = f"not on this machine, so its memory is unknown: {remedy}"
            yield f"  {key:<{NAMES}}{model.hub} is {reason}"
            continue
        shape, counts = counted(model_of(config, key))
        source = "the configuration" if file is None else f"its {file.name}"
        yield f"  {key:<{NAMES}}{counts.total:,} of {model.name} ({shape.model_type}, by {source})"


def _task_lines(config: Config) -> Iterator[str]:
    """Sizes of the splits of a data set or of the user's own questions."""
    try:
        world = worlds.of(config.task)
    except R1ReproError as error:
        yield f"task={config.task.name}: {error}; evaluations are not counted"
        return
    used = world.facts.get("used")
    if used is None:
        return
    free = islice(world.stream(random.Random(0)), used["train"])  # its first epoch
    asked = [problem.prompt for problem in free]
    shared = sum(filters.contaminated(asked, [""] * len(asked), world.held_out_problems))
    there = world.facts[worlds.train_source(config.task).name]["problems"]
    yield (
        f"{used['train']:,} of {there:,} questions are for training, {used['validation']:,} are "
        f"held out for validation and {used['test']:,} for the test; {shared:,} training questions "
        f"share {filters.NGRAM} words in a row with a held-out one and are left out of fine-tuning"
    )
    for name, facts in world.facts.items():
        if count := facts.get("with different gold answers"):
            has = "question of {} has" if count == 1 else "questions of {} have"
            yield (
                f"{count:,} {has.format(name)} rows with different gold answers and are used "
                "neither for training nor for tests: give one gold answer each"
            )


def _standing(config: Config, name: str, left: bool, rebuilt: bool) -> str:
    if rebuilt:
        return "rebuild"
    if not left:
        return "cached"
    lines = artifacts.read_progress(Workspace(config).work(name), ends=True)
    return f"at {lines[-1]['step']}/{lines[-1]['total']}" if lines else "to build"


def fits(peak: int, card: float) -> bool:
    """Whether a computed peak, in bytes, fits `card` GB with a tenth and 1 GiB to spare.

    The margin is a guess for CUDA's context and fragmentation.
    """
    return 1.1 * peak + GIB <= card * GIB


def _memory_lines(config: Config, names: Sequence[str], card: float | None) -> Iterator[str]:
    found: dict[Memory, list[str]] = {}
    for name in names:
        needed = needs(config, find(name, config))
        if needed is not None:
            found.setdefault(needed, []).append(name)
    yield "\nmemory per process: weights and optimizer exact, peak of each phase computed"
    columns = "weights optimizer reference rollouts update step peak".split()
    yield f"  {'':<{NAMES}}" + "".join(f"{column:>11}" for column in columns)
    for needed, members in found.items():
        also = f" +{len(members) - 1}" if len(members) > 1 else ""
        values = "".join(f"{size(getattr(needed, column)):>11}" for column in columns)
        yield f"  {members[0] + also:<{NAMES}}{values}"
    if config.engine.rollouts != "own":
        yield "  vLLM's own weights and cache are not included"
    everything = []
    for label, space in _cards(card).items():
        large = [n for needed, ns in found.items() if not fits(needed.peak, space) for n in ns]
        if not large:
            everything.append(label)
        by_remedy: dict[str, list[str]] = {}
        for name in large:
            by_remedy.setdefault(" ".join(remedy(config, name, space)), []).append(name)
        for settings, members in by_remedy.items():
            do = f"fits with {settings}" if settings else "use a smaller model or a larger card"
            yield f"  {label}: too small for {', '.join(members)}; {do}"
    if everything:
        yield f"  {', '.join(everything)}: everything fits"


def _cards(card: float | None) -> dict[str, float]:
    """Memory in GB by the name of the card."""
    if card is not None:
        return {f"{card:g} GB": card}
    if torch.cuda.is_available():
        found = torch.cuda.get_device_properties(0)
        return {f"{found.name}, {found.total_memory / GIB:.0f} GB": found.total_memory / GIB}
    return {f"{gb} GB": float(gb) for gb in CARDS}


def size(count: int) -> str:
    """Format bytes as – (zero), 3.4 MiB or 12.3 GiB."""
    if count == 0:
        return "–"
    return f"{count / GIB:,.1f} GiB" if count >= GIB else f"{count / 2**20:,.1f} MiB"


def remedy(config: Config, name: str, card: float) -> list[str]:
    """The fewest settings with which the stage fits `card` GB, mildest first; [] if none do."""
    options = _options(config, find(name, config))
    for number in range(1, len(options) + 1):
        for chosen in combinations(options, number):
            if {"engine.sharded", "engine.lora_rank"} <= {key for key, _ in chosen}:
                continue  # mutually exclusive
            for index in range(max(len(values) for _, values in chosen)):
                changes = {key: values[min(index, len(values) - 1)] for key, values in chosen}
                other = config
                for key, value in changes.items():
                    other = changed(other, key, value)
                needed = needs(other, find(name, other))
                if needed is not None and fits(needed.peak, card):
                    return [f"{key}={str(value).lower()}" for key, value in changes.items()]
    return []


def _options(config: Config, stage: Stage) -> list[tuple[str, list[Any]]]:
    """Keys that save memory in this stage, each with its values, mildest first."""
    named, engine = kind(stage), config.engine
    found: list[tuple[str, list[Any]]] = []
    if named == "rl":
        settings: RLConfig = settings_of(config, stage)
        row = prompt_tokens(config) + settings.last_cap
        tokens = _halves(settings.micro_batch_tokens, row)
        found.append((f"{settings_key(stage)}.micro_batch_tokens", tokens))
    if named in ("sft", "reward_model"):
        processes = config.launch.processes if stage.distributed else 1
        rows = _halves(rows_together(settings_of(config, stage), processes), 1)
        found.append((f"{settings_key(stage)}.rows_at_once", rows))
    if named in ("rl", "cold_start_data", "rejection_sampling", "reward_model"):
        rows = _halves(settings_of(config, stage).rollout_batch, 1)
        found.append((f"{settings_key(stage)}.rollout_batch", rows))
    if named == "evaluate":
        found.append(("evaluation.rollout_batch", _halves(config.evaluation.rollout_batch, 1)))
    if named in ("rl", "sft", "reward_model"):
        whole = not (engine.lora_rank or engine.sharded)
        several = config.launch.processes > 1 and not engine.unsloth
        own = engine.rollouts == "own" and not (engine.quantized or engine.sharded)
        found += [
            ("engine.gradient_checkpointing", [True] * (not engine.gradient_checkpointing)),
            ("engine.precision", ["bfloat16"] * (engine.precision == "float32")),
            ("engine.sharded", [True] * (whole and several)),
            ("engine.lora_rank", [32] * whole),
            ("engine.quantized", [True] * own),
        ]
    return [(key, values) for key, values in found if values]


def _halves(value: int, least: int) -> list[int]:
    """value / 2, value / 4 and so on, none below `least`."""
    return [] if value // 2 < least else [value // 2, *_halves(value // 2, least)]


def _time_lines(config: Config, works: dict[str, Work], probed: bool) -> Iterator[str]:
    if not works:
        return
    stages = {name: find(name, config) for name in works}
    used = dict.fromkeys(map(model_of_stage, stages.values()))
    if missing := pretrained.missing(config, used):
        reason = f"{missing[0]} is not on this machine: run `r1repro fetch` with these settings"
        yield f"\ntime: not predicted, since {reason}"
        return
    if not probed:
        yield "\ntime: not predicted without the probe"
        return
    large = [name for name in works if not _fits_here(needs(config, find(name, config)))]
    if large:
        yield f"\ntime: not predicted, since {large[0]} does not fit this machine"
        return
    if not config.model.made_here:
        amounts = {n: expected.expected(config, stages[n], most) for n, most in works.items()}
        yield from pretrained.lines(config, works, amounts)
        return
    speeds = probe(config, list(used))
    took = sum(speed.seconds for speed in speeds.values())
    yield f"\nprobe, {took:.0f} s, random weights of these shapes, tokens/s"
    for key, speed in speeds.items():
        yield (
            f"  {key:<{NAMES}}pretraining {speed.pretrained:,.0f}, rollouts {speed.sampled:,.0f}, "
            f"GRPO updates {speed.learned:,.0f}, fine-tuning {speed.tuned:,.0f}, "
            f"on {speed.machine}"
        )
    yield f"\ntime, from the probe; assumed where no result is available: {expected.ASSUMED}"
    total = 0.0
    for name, most in works.items():
        stage = stages[name]
        amount = expected.expected(config, stage, most)
        found = seconds(config, stage, most, amount, speeds[model_of_stage(stage)])
        # The policy is probed on all threads, students on half of them.
        if stage.half and model_of_stage(stage) == "model" and cores.at_once() == 2:
            found /= pretrained.HALF
        total += found / (cores.at_once() if stage.half else 1)
        yield f"  {name:<{NAMES}}{duration(found):>10}{'  assumed' if amount.assumed else ''}"
    between = f"between {duration(total / SPREAD)} and {duration(total * SPREAD)}"
    yield f"  {'total':<{NAMES}}{duration(total):>10}  {between}, if the machine stays as fast"


def _fits_here(needed: Memory | None) -> bool:
    return needed is None or fits(needed.peak, here()[0] / GIB)


def seconds(config: Config, stage: Stage, most: Work, amount: Expected, speed: Speed) -> float:
    """Predicted seconds of the stage for the expected amount of work at the measured speed."""
    processes = config.launch.processes if stage.distributed else 1
    forked = processes == 1 and not config.engine.unsloth
    learned = amount.rows * (speed.prompt + amount.row)
    return (
        (FORKED if forked else LOADING)
        + most.pretrained / speed.pretrained
        + most.completions * amount.length / speed.sampled
        + learned / (speed.learned if kind(stage) == "rl" else speed.tuned)
    )
