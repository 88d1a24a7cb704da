"""The commands: runs, reports, and tools for your own files."""

import argparse
import json
import math
import shlex
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from r1repro import __version__
from r1repro.errors import R1ReproError

RUN_HELP = """\
settings are Hydra overrides, such as
  scale=smoke | laptop | pocket | gpu | paper   size of the run (default laptop)
  seed=3                          seed of everything after the base
  stage.r1_zero.steps=200         any key of r1repro/config/schema.py
  ablation=all                    run the ablations, or one: ablation.reasoning_only=true
  lab=all                         instead, arms of the lab, or of one notebook: lab=ppo_vs_grpo
  model.path='my models/a [1]'    a path as it is, quoted for the shell alone
finished stages are loaded, an interrupted one resumes"""
DEBUG = "--debug"
FILE = "a .jsonl, .json or .parquet file"

Command = Callable[[Namespace], int | None]
PARSER = argparse.ArgumentParser(prog="r1repro", description=__doc__)
PARSER.add_argument("--version", action="version", version=__version__)
PARSER.add_argument(DEBUG, action="store_true", help="show the traceback of an error")
COMMANDS = PARSER.add_subparsers(dest="command", required=True)


def _command(said: str, *arguments: Any, below: str | None = None) -> Callable[[Command], Command]:
    """Makes a function a command of its name; a list holds arguments that exclude each other."""

    def add(do: Command) -> Command:
        raw = argparse.RawDescriptionHelpFormatter
        command = COMMANDS.add_parser(
            do.__name__, help=said, description=said, epilog=below, formatter_class=raw
        )
        command.set_defaults(do=do)
        for one in arguments:
            group = isinstance(one, list)
            place: Any = command.add_mutually_exclusive_group() if group else command
            for names, options in one if group else [one]:
                place.add_argument(*names, **options)
        return do

    return add


def _arg(*names: str, **options: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    return names, options


SETTINGS = _arg("settings", nargs="*", metavar="key=value")
STAGES = (
    _arg("--from", dest="from_stage", metavar="STAGE",
         help="rebuild this stage and all that depend on it"),
    _arg("--until", metavar="STAGE", help="stop after the notebook of this stage"),
)  # fmt: skip


@_command(
    "run every stage and write the report", SETTINGS, *STAGES,
    _arg("-m", "--multirun", action="store_true",
         help="one run per seed of seed=0,1,2, then a joint report"),
    below=RUN_HELP,
)  # fmt: skip
def run(args: Namespace) -> None:
    # Not where they are ignored, as under nohup.
    signs = (signal.SIGTERM, signal.SIGHUP)
    taken = [sign for sign in signs if signal.getsignal(sign) == signal.SIG_DFL]
    for sign in taken:
        signal.signal(sign, signal.default_int_handler)
    try:
        from r1repro.config import compose, sweep
        from r1repro.launch import submit, work

        configs = sweep(args.settings) if args.multirun else [compose(args.settings)]
        if configs[0].launch.cluster == "here":
            work(configs, args.multirun, args.from_stage, args.until)
        else:
            job, log = submit(configs, args.multirun, args.from_stage, args.until)
            print(f"job {job}, log: {log}")
    except KeyboardInterrupt:
        with suppress(OSError):  # the terminal may be gone
            _say("interrupted: run the same command without --from to resume")
        raise
    finally:
        for sign in taken:
            signal.signal(sign, signal.SIG_DFL)


@_command(
    "write a folder with the settings and the notebooks, to work without a clone",
    _arg("folder", type=Path, metavar="FOLDER", help="a new or empty folder"),
)
def notebooks(args: Namespace) -> None:
    from r1repro import working_copy

    print(f"{args.folder}: {', '.join(working_copy.write(args.folder))}")
    place = shlex.quote(str(args.folder))
    print(f"next: cd {place}, then `jupyter lab notebooks` or `r1repro run`")


@_command(
    "show the stages, memory and time of a run without running it", SETTINGS, *STAGES,
    _arg("--card", type=float, metavar="GB", help="memory of the card to plan for"),
    _arg("--no-probe", action="store_true",
         help="skip the probe, ten seconds to a minute, that predicts the time"),
    below=RUN_HELP,
)  # fmt: skip
def plan(args: Namespace) -> None:
    from r1repro.config import compose
    from r1repro.planning.plan import plan

    _check_positive("--card", args.card, "its memory in GB, such as 24")
    config, probed = compose(args.settings), not args.no_probe
    for line in plan(config, args.card, probed, args.from_stage, args.until):
        print(line, flush=True)


@_command(
    "download the models and data sets of a configuration; runs then need no network", SETTINGS,
    below="""\
They go into the cache of the Hugging Face hub: HF_HOME, or else ~/.cache/huggingface. What is
there already is not downloaded again. A GGUF file is converted into a folder in runs/cache/.

example, with the settings that you give to plan and run:
  r1repro fetch scale=gpu model=qwen2.5-1.5b task=gsm8k""",
)  # fmt: skip
def fetch(args: Namespace) -> None:
    from r1repro.config import compose
    from r1repro.planning import preflight

    line = ""
    for line in preflight.fetch(compose(args.settings)):
        print(line, flush=True)
    if not line:
        print("nothing to fetch: this configuration uses no models or data sets of the hub")


@_command(
    "copy a finished report to reports/",
    _arg("run", type=Path, help="the run's folder under runs/"),
)
def publish(args: Namespace) -> None:
    from r1repro.config import ROOT
    from r1repro.reports.publish import publish

    if not args.run.is_dir():
        raise R1ReproError(
            f"no run at {args.run}: give the folder of a finished run under runs/, with a "
            "report.html"
        )
    print(f"published: {publish(args.run, ROOT / 'reports')}")


@_command(
    "write a joint report of finished runs that differ only in their seeds",
    _arg("folders", type=Path, nargs="+", metavar="folder",
         help="a run's folder under runs/, or a version's under reports/; at least two"),
    below="""\
The report is runs/SCALE-TASK-Nseeds-HASH/report.html in the checkout; its path is printed.
Intervals are over the seeds and the problems.

example:
  r1repro join runs/laptop-mini-seed[012]-*""",
)  # fmt: skip
def join(args: Namespace) -> None:
    from r1repro.launch import join

    print(f"report: {join(args.folders)}")


@_command(
    "show what differs between two reports, and which inputs explain it",
    _arg("first", type=Path, help="a version's folder under reports/, or a run's under runs/"),
    _arg("second", type=Path, help="the same; differences are second minus first"),
    below="""\
The comparison is printed, and written to compare-FIRST-SECOND.md in the current folder.

example:
  r1repro compare reports/VERSION runs/RUN""",
)  # fmt: skip
def compare(args: Namespace) -> None:
    from r1repro.artifacts import write_atomically
    from r1repro.reports.compare import compare, read
    from r1repro.runner.graph import graph

    one, other = read(args.first), read(args.second)
    text = compare(one, other, {name: stage.config for name, stage in graph().items()})
    print(text)
    target = Path(f"compare-{one.name}-{other.name}.md")
    write_atomically(target, text)
    print(f"written: {target}")


@_command(
    "chat with a checkpoint, or with two side by side",
    _arg("checkpoint", help="a stage, such as base, r1_zero or r1, or a model folder"),
    _arg("settings", nargs="*", metavar="key=value", help="settings of its run"),
    _arg("--beside", metavar="CHECKPOINT", help="second checkpoint, same prompts"),
    [
        _arg("--temperature", type=float, default=0.6, help="with top-p 0.95; default 0.6"),
        _arg("--greedy", action="store_true", help="greedy decoding"),
    ],
)
def chat(args: Namespace) -> int:
    from r1repro.chat import TOP_P, examples, find, prompts, shown, speaker
    from r1repro.config import compose
    from r1repro.generation.rollouts import Sampling
    from r1repro.runner.graph import graph

    _check_positive("--temperature", args.temperature, "a number above zero, or --greedy")
    config = compose(args.settings)
    names = [args.checkpoint, *filter(None, [args.beside])]
    found = [find(config, name, shlex.join(args.settings)) for name in names]
    speakers = [speaker(name, *at, config.engine) for name, at in zip(names, found, strict=True)]
    temperature = 0.0 if args.greedy else args.temperature
    sampling = Sampling(config.evaluation.max_completion_tokens, temperature, TOP_P)
    refused = False
    known = examples(config) if args.checkpoint in graph(config) else ()
    for number, prompt in enumerate(prompts(known)):
        for one in speakers:
            try:
                print(shown(one.name, one.answer(prompt, sampling, number)), flush=True)
            except R1ReproError as error:  # concerns this prompt only
                print(f"error: {error}", file=sys.stderr)
                refused = True
    return 2 if refused else 0


@_command(
    "grade mathematical answers in your own file", _arg("file", type=Path, help=FILE),
    _arg("--gold", default="gold",
         help="the field with the right answer: alone, after #### or in a box; default gold"),
    _arg("--text", default="completion", help="the field to grade; default completion"),
    _arg("--answer-only", action="store_true",
         help="the text is the bare answer; gold answers may be sentences"),
    _arg("--question", help="the field with the question, which may ask for rounding or a base"),
    _arg("--extract", choices=("marked", "last"), default="marked",
         help="last: where nothing is marked, the last stated value"),
    _arg("--seconds", type=float, default=5.0, help="time limit per answer; default 5"),
    below="""\
correct is strict; lenient also accepts an answer that equals gold after rounding. A text went on
after the answer if more than closing words follow it, such as another turn. Rows go to standard
output, counts to standard error.""",
)  # fmt: skip
def grade(args: Namespace) -> None:
    from r1repro.evaluation.grade import Counts, Job, grade
    from r1repro.rewards.verifier import throughput

    _check_positive("--seconds", args.seconds, "more than 0")
    job = Job(
        args.file, args.gold, args.text, args.question, args.answer_only, args.extract == "last",
        args.seconds,
    )  # fmt: skip
    began, counts = time.monotonic(), Counts()
    for row in grade(job, counts):
        _emit(row, {})
    for line in counts.lines(job):
        _say(line)
    _say(throughput(counts.rows, time.monotonic() - began))


TAGS: Any = {"nargs": 2, "metavar": ("OPEN", "CLOSE")}


@_command(
    "measure format, language, reflection and repetition in your own file",
    _arg("file", type=Path, help=FILE),
    _arg("--text", default="completion", help="the field to read; default completion"),
    _arg("--language", choices=("auto", "en", "zh"), default="auto",
         help="language of the question; auto: the dominant one"),
    _arg("--think-tags", default=("<think>", "</think>"), **TAGS),
    _arg("--answer-tags", default=("<answer>", "</answer>"), **TAGS),
    _arg("--no-answer-tags", action="store_true",
         help="the answer follows the thinking untagged, as in R1"),
)  # fmt: skip
def analyze(args: Namespace) -> None:
    from r1repro import row_files
    from r1repro.evaluation.analyze import Tags, analyze, summary
    from r1repro.tasks.fields import completion_text

    tags = Tags(tuple(args.think_tags), None if args.no_answer_tags else tuple(args.answer_tags))
    found, null = [], 0
    for number, row in row_files.read(args.file):
        place = f"{args.file}, row {number}"
        text = completion_text(row_files.field(row, args.text, place), args.text, place)
        null += text is None
        found.append(analyze(text or "", tags, args.language))
        _emit({"row": number, **row}, found[-1], "analyzed")
    if null:
        _say(f"completions that are null, read as empty: {null}")
    for name, value in summary(found).items():
        _say(f"{name}: {'none' if value is None else value}")


@_command(
    "list rows of one file that overlap with another, with the evidence",
    _arg("train", type=Path, help=f"training rows, {FILE}"),
    _arg("eval", type=Path, help="evaluation rows, the same kinds of file"),
    _arg("--field", default="problem", help="the field to compare; default problem"),
    _arg("--eval-field", help="its name in the second file, if different"),
    _arg("--evidence", nargs="+", metavar="KIND",
         choices=("exact", "edited", "numbers", "phrase"), default=("exact", "edited", "numbers"),
         help="kinds of overlap to list: exact, edited, numbers (the same but for numbers), "
         "phrase; default all but phrase"),
)  # fmt: skip
def decontaminate(args: Namespace) -> None:
    from r1repro import row_files
    from r1repro.text.overlap import EVIDENCE, overlaps

    sides = []
    for file, name in ((args.train, args.field), (args.eval, args.eval_field or args.field)):
        rows = row_files.read(file)
        sides.append([(i, row, _text(row, name, f"{file}, row {i}")) for i, row in rows])
    train, evaluation = sides
    found = overlaps([text for _, _, text in train], [text for _, _, text in evaluation])
    for one in found:
        if one.evidence in args.evidence:
            (number, row, text), (other, _, asked) = train[one.train], evaluation[one.evaluation]
            ours = {**asdict(one), "train": number, "evaluation": other}
            _emit(row, ours | {"train_text": text, "eval_text": asked}, "overlap")
    kinds = [one.evidence for one in found]
    exact, edited, numbers, phrase = map(kinds.count, EVIDENCE)
    _say(
        f"{exact + edited} of {len(train)} rows overlap with {len(evaluation)}: {exact} exact, "
        f"{edited} edited; further {numbers} differ in numbers, {phrase} share a phrase; "
        "translations are not detected"
    )


@_command(
    "diagnose a run and suggest remedies",
    _arg("run", type=Path, help="the run's folder under runs/"),
)
def doctor(args: Namespace) -> None:
    from r1repro.runner.health import of_run

    print("\n".join(of_run(args.run).lines()))


def _check_positive(option: str, value: float | None, accepted: str) -> None:
    if value is not None and not value > 0:
        raise R1ReproError(f"{option} {value:g} is not accepted: give {accepted}")


def _text(row: dict[str, Any], name: str, place: str) -> str:
    from r1repro import row_files

    value = row_files.field(row, name, place)
    if not isinstance(value, str):
        raise R1ReproError(f"{place}: {name} is {type(value).__name__}: it must be a string")
    return value


def _emit(row: dict[str, Any], found: dict[str, Any], prefix: str = "") -> None:
    """Print a row and what was found in it as JSON; a name that is taken gets the prefix."""
    own = {f"{prefix}_{name}" if name in row else name: value for name, value in found.items()}
    # ASCII-escaped, so that lone surrogates and unusual line ends cannot break a line.
    print(json.dumps(_valid({**row, **own}), default=str, allow_nan=False))


def _valid(value: Any) -> Any:
    """The value with null for NaN and the infinities, which JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(name): _valid(inner) for name, inner in value.items()}
    return [_valid(inner) for inner in value] if isinstance(value, list) else value


def _say(text: str) -> None:
    print(text, file=sys.stderr)
