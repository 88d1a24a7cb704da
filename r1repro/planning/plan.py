"""Predicts a run: its stages, their work, memory and time.

Writes nothing, except that a GGUF file is converted to be probed. Only the probe trains: for about
ten seconds, or a minute with pretrained models.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, groupby, islice
from typing import Any

import torch

from r1repro import artifacts, cores
from r1repro.config import TEACHER, Config, changed, rows_together, with_teacher
from r1repro.duration import duration
from r1repro.errors import R1ReproError
from r1repro.planning import expected, folders, pretrained
from r1repro.planning.expected import Expected
from r1repro.planning.memory import Memory
from r1repro.planning.probe import Speed, probe
from r1repro.planning.stage_memory import counted, here, model_of, needs
from r1repro.planning.work import (
    Work,
    kind,
    processes,
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
HALF = 0.6
"""Speed of a stage on half of two cores, relative to both."""
NAMES = 34
"""Width of the column of stage names, in characters."""


def plan(
    config: Config,
    card: float | None = None,
    probed: bool = True,
    from_stage: str | None = None,
    until: str | None = None,
) -> Iterator[str]:
    """The lines of the plan of a run with that `from_stage` and `until`.

    card: memory to plan for, in GB; None for that of this machine's GPU, else for CARDS. Raises
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
            yield (
                f"  {key:<{NAMES}}{model.hub} is not on this machine, so its memory is unknown: "
                "run `r1repro fetch` with these settings"
            )
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
    prompts = [problem.prompt for problem in free]
    shared = sum(filters.contaminated(prompts, [""] * len(prompts), world.held_out_problems))
    there = world.facts[worlds.train_source(config.task).name]["problems"]
    yield (
        f"{used['train']:,} of {there:,} questions are for training, {used['validation']:,} are "
        f"held out for validation and {used['test']:,} for the test; {shared:,} training questions "
        f"share {filters.NGRAM} words in a row with a held-out one and are left out of fine-tuning"
    )
    for name, facts in world.facts.items():
        if count := facts.get("with different gold answers"):
            told = "question of {} has" if count == 1 else "questions of {} have"
            yield (
                f"left out of training and tests: {count:,} {told.format(name)} rows with "
                "different gold answers; give one gold answer each"
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

    That margin, for CUDA's context and for fragmentation, is a guess.
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
        there, name = here()
        return {f"{name}, {there / GIB:.0f} GB": there / GIB}
    return {f"{gb} GB": float(gb) for gb in CARDS}


def size(count: int) -> str:
    """Format bytes as – (zero), 3.4 MiB or 12.3 GiB."""
    if count >= GIB:
        return f"{count / GIB:,.1f} GiB"
    return f"{count / 2**20:,.1f} MiB" if count else "–"


def remedy(config: Config, name: str, card: float) -> list[str]:
    """The fewest settings with which the stage fits `card` GB, mildest first; [] if none do."""
    options = _options(config, find(name, config))
    for number in range(1, len(options) + 1):
        for chosen in map(dict, combinations(options.items(), number)):
            if {"engine.sharded", "engine.lora_rank"} <= chosen.keys():
                continue  # mutually exclusive
            for index in range(max(map(len, chosen.values()))):
                other, changes = config, {k: v[min(index, len(v) - 1)] for k, v in chosen.items()}
                for key, value in changes.items():
                    other = changed(other, key, value)
                needed = needs(other, find(name, other))
                if needed is not None and fits(needed.peak, card):
                    return [f"{key}={str(value).lower()}" for key, value in changes.items()]
    return []


def _options(config: Config, stage: Stage) -> dict[str, list[Any]]:
    """Keys that save memory in this stage, each with its values, mildest first."""
    named, engine = kind(stage), config.engine
    found: dict[str, list[Any]] = {}
    if named == "evaluate":
        found["evaluation.rollout_batch"] = _halves(config.evaluation.rollout_batch)
    if named not in ("rl", "sft", "cold_start_data", "rejection_sampling", "reward_model"):
        return found
    place, settings = settings_key(stage), settings_of(config, stage)
    if named == "rl":
        row = prompt_tokens(config) + settings.last_cap
        found[f"{place}.micro_batch_tokens"] = _halves(settings.micro_batch_tokens, row)
    if named in ("sft", "reward_model"):
        found[f"{place}.rows_at_once"] = _halves(rows_together(settings, processes(config, stage)))
    if named != "sft":
        found[f"{place}.rollout_batch"] = _halves(settings.rollout_batch)
    if named in ("rl", "sft", "reward_model"):
        whole = not (engine.lora_rank or engine.sharded)
        several = config.launch.processes > 1 and not engine.unsloth
        own = engine.rollouts == "own" and not (engine.quantized or engine.sharded)
        found |= {
            "engine.gradient_checkpointing": [True] * (not engine.gradient_checkpointing),
            "engine.precision": ["bfloat16"] * (engine.precision == "float32"),
            "engine.sharded": [True] * (whole and several),
            "engine.lora_rank": [32] * whole,
            "engine.quantized": [True] * own,
        }
    return {key: values for key, values in found.items() if values}


def _halves(value: int, least: int = 1) -> list[int]:
    """value / 2, value / 4 and so on, none below `least`."""
    return [] if value // 2 < least else [value // 2, *_halves(value // 2, least)]


def _time_lines(config: Config, works: dict[str, Work], probed: bool) -> Iterator[str]:
    if not works:
        return
    stages = {name: find(name, config) for name in works}
    keys = list(dict.fromkeys(map(model_of_stage, stages.values())))
    if reason := _why_no_time(config, stages.values(), keys, probed):
        yield f"\ntime: not predicted{reason}"
        return
    made_here = config.model.made_here
    speeds: dict[str, Any] = probe(config, keys) if made_here else pretrained.probe(config, keys)
    took = sum(speed.seconds for speed in speeds.values())
    shapes = "random weights of these shapes, " if made_here else ""
    yield f"\nprobe, {took:.0f} s, {shapes}tokens/s"
    for key, speed in speeds.items():
        yield f"  {key:<{NAMES}}{speed.said()}, on {speed.machine}"
    assumed = f"; assumed where no result is available: {expected.ASSUMED}"
    yield "\ntime, from the probe" + (assumed if made_here else ", answers as long as the probe's")
    predict, spread = (seconds, SPREAD) if made_here else (pretrained.seconds, pretrained.SPREAD)
    total = 0.0
    for name, most in works.items():
        stage, key = stages[name], model_of_stage(stages[name])
        amount = expected.expected(config, stage, most)
        found = predict(config, stage, most, amount, speeds[key])
        # Only students with random weights are probed on half of the threads.
        if stage.half and cores.at_once() == 2 and not (made_here and key != "model"):
            found /= HALF
        total += found / (cores.at_once() if stage.half else 1)
        mark = "  assumed" if made_here and amount.assumed else ""
        yield f"  {name:<{NAMES}}{duration(found):>10}{mark}"
    between = f"between {duration(total / spread)} and {duration(total * spread)}"
    yield f"  {'total':<{NAMES}}{duration(total):>10}  {between}, if the machine stays as fast"


def _why_no_time(config: Config, stages: Iterable[Stage], keys: Sequence[str], probed: bool) -> str:
    if missing := pretrained.missing(config, keys):
        fetch = "run `r1repro fetch` with these settings"
        return f", since {missing[0]} is not on this machine: {fetch}"
    if not probed:
        return " without the probe"
    for stage in stages:
        needed = needs(config, stage)
        if needed is not None and not fits(needed.peak, here()[0] / GIB):
            return f", since {stage.name} does not fit this machine"
    return ""


def seconds(config: Config, stage: Stage, most: Work, amount: Expected, speed: Speed) -> float:
    """Predicted seconds of the stage for the expected amount of work at the measured speed."""
    forked = processes(config, stage) == 1 and not config.engine.unsloth
    learned = amount.rows * (speed.prompt + amount.row)
    return (
        (FORKED if forked else LOADING)
        + most.pretrained / speed.pretrained
        + most.completions * amount.length / speed.sampled
        + learned / (speed.learned if kind(stage) == "rl" else speed.tuned)
    )
