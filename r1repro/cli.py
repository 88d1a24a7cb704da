"""The command line: runs, reports, and tools for your own files."""

import argparse
import json
import math
import os
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from r1repro import __version__
from r1repro.errors import R1ReproError, StageFailed

RUN_HELP = """\
settings are Hydra overrides, such as
  scale=smoke | laptop | gpu | paper   size of the run (default laptop)
  seed=3                          seed of everything after the base
  stage.r1_zero.steps=200         any key of r1repro/config/schema.py
  ablation=all                    run the ablations, or one: ablation.reasoning_only=true
  model.path='my models/a [1]'    a path as it is, quoted for the shell alone
finished stages are loaded, an interrupted one resumes"""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, 1 if a stage failed, 2 for a usage error, 130 for Ctrl-C."""
    parser = _parser()
    args, rest = parser.parse_known_args(argv)
    # argparse does not accept positional settings after an option.
    with_settings = args.command in ("run", "plan", "fetch", "chat")
    if not with_settings or any(word.startswith("-") for word in rest):
        parser.parse_args(argv)
    else:
        args.settings += rest
    try:
        if args.command == "plan":
            return _plan(args)
        if args.command == "publish":
            return _publish(args.run)
        if args.command == "join":
            return _join(args.folders)
        if args.command == "compare":
            return _compare(args.first, args.second)
        if args.command == "fetch":
            return _fetch(args.settings)
        if args.command == "chat":
            return _chat(args)
        if args.command == "grade":
            return _grade(args)
        if args.command == "analyze":
            return _analyze(args)
        if args.command == "decontaminate":
            return _decontaminate(args)
        if args.command == "doctor":
            return _doctor(args.run)
        return _run(args)
    except StageFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except R1ReproError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of the output closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # for example a full disk or a read-only folder
        print(f"error: {error.filename or 'r1repro'}: {error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if args.command != "run":
            return 130
        print("interrupted: run the same command without --from to resume", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="r1repro", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run",
        help="run every stage and write the report",
        epilog=RUN_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_stages(run)
    run.add_argument(
        "-m",
        "--multirun",
        action="store_true",
        help="one run per seed of seed=0,1,2, then a joint report",
    )
    plan = commands.add_parser(
        "plan",
        help="show the stages, memory and time of a run without running it",
        epilog=RUN_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_stages(plan)
    plan.add_argument("--card", type=float, metavar="GB", help="memory of the card to plan for")
    plan.add_argument(
        "--no-probe", action="store_true", help="skip the ten-second probe that predicts the time"
    )
    fetch = commands.add_parser(
        "fetch",
        help="download a configuration's models and data sets, for nodes without a network",
    )
    fetch.add_argument("settings", nargs="*", metavar="key=value")
    publish = commands.add_parser("publish", help="copy a finished report to reports/")
    publish.add_argument("run", type=Path, help="the run's folder under runs/")
    join = commands.add_parser("join", help="write a joint report of runs that differ in seeds")
    join.add_argument(
        "folders", type=Path, nargs="+", metavar="folder", help="a folder of reports/ or runs/"
    )
    compare = commands.add_parser("compare", help="show what differs between two reports, and why")
    compare.add_argument("first", type=Path, help="a folder of reports/ or runs/")
    compare.add_argument("second", type=Path)
    chat = commands.add_parser("chat", help="chat with a checkpoint, or with two side by side")
    chat.add_argument("checkpoint", help="a stage, such as base, r1_zero or r1, or a model folder")
    chat.add_argument("settings", nargs="*", metavar="key=value", help="settings of its run")
    chat.add_argument("--beside", metavar="CHECKPOINT", help="second checkpoint, same prompts")
    how = chat.add_mutually_exclusive_group()
    how.add_argument("--temperature", type=float, default=0.6, help="with top-p 0.95 (0.6)")
    how.add_argument("--greedy", action="store_true", help="greedy decoding")
    grade = commands.add_parser("grade", help="grade mathematical answers in your own file")
    grade.add_argument("file", type=Path, help="a .jsonl, .json or .parquet file")
    grade.add_argument("--gold", default="gold",
                       help="the field with the right answer: alone, after #### or in a box "
                       "(gold)")  # fmt: skip
    grade.add_argument("--text", default="completion", help="the field to grade (completion)")
    grade.add_argument("--answer-only", action="store_true",
                       help="the text is the bare answer; gold answers may be "
                       "sentences")  # fmt: skip
    grade.add_argument("--question", help="the field with the question, which may ask for rounding")
    grade.add_argument("--extract", choices=("marked", "last"), default="marked",
                       help="last: where nothing is marked, the last stated value")  # fmt: skip
    grade.add_argument("--seconds", type=float, default=5.0, help="time limit per answer (5)")
    analyze = commands.add_parser(
        "analyze", help="measure format, language, reflection and repetition in your own file"
    )
    analyze.add_argument("file", type=Path, help="a .jsonl, .json or .parquet file")
    analyze.add_argument("--text", default="completion", help="the field to read (completion)")
    analyze.add_argument("--language", choices=("auto", "en", "zh"), default="auto",
                         help="language of the question; auto: the dominant one")  # fmt: skip
    tags: dict[str, Any] = {"nargs": 2, "metavar": ("OPEN", "CLOSE")}
    analyze.add_argument("--think-tags", default=("<think>", "</think>"), **tags)
    analyze.add_argument("--answer-tags", default=("<answer>", "</answer>"), **tags)
    analyze.add_argument("--no-answer-tags", action="store_true",
                         help="the answer follows the thinking untagged, as in R1")  # fmt: skip
    clean = commands.add_parser(
        "decontaminate",
        help="list rows of one file that overlap with another, with the evidence",
    )
    clean.add_argument("train", type=Path, help="a .jsonl, .json or .parquet file")
    clean.add_argument("eval", type=Path)
    clean.add_argument("--field", default="problem", help="the field to compare (problem)")
    clean.add_argument("--eval-field", help="its name in the second file, if different")
    clean.add_argument("--evidence", nargs="+", metavar="KIND",
                       choices=("exact", "edited", "numbers", "phrase"),
                       default=("exact", "edited", "numbers"),
                       help="kinds of overlap to list: exact, edited, numbers (the same but for "
                       "numbers), phrase; all but phrase")  # fmt: skip
    doctor = commands.add_parser("doctor", help="diagnose a run and suggest remedies")
    doctor.add_argument("run", type=Path, help="the run's folder under runs/")
    return parser


def _add_stages(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("settings", nargs="*", metavar="key=value")
    parser.add_argument(
        "--from",
        dest="from_stage",
        metavar="STAGE",
        help="rebuild this stage and all that depend on it",
    )
    parser.add_argument("--until", metavar="STAGE", help="stop after the notebook of this stage")


def _run(args: argparse.Namespace) -> int:
    from r1repro.cluster import submit, work
    from r1repro.config import compose, sweep

    configs = sweep(args.settings) if args.multirun else [compose(args.settings)]
    if configs[0].launch.cluster == "here":
        work(configs, args.multirun, args.from_stage, args.until)
    else:
        job, log = submit(configs, args.multirun, args.from_stage, args.until)
        print(f"job {job}, log: {log}")
    return 0


def _fetch(settings: Sequence[str]) -> int:
    from r1repro.config import compose
    from r1repro.planning import preflight

    fetched = 0
    for line in preflight.fetch(compose(settings)):
        print(line, flush=True)
        fetched += 1
    if not fetched:
        print("nothing to fetch: this configuration uses no models or data sets of the hub")
    return 0


def _plan(args: argparse.Namespace) -> int:
    from r1repro.config import compose
    from r1repro.planning.plan import plan

    if args.card is not None and not args.card > 0:
        raise R1ReproError(
            f"--card={args.card:g} is not accepted: give the GB of a card, such as 24"
        )
    config, probed = compose(args.settings), not args.no_probe
    for line in plan(config, args.card, probed, args.from_stage, args.until):
        print(line, flush=True)
    return 0


def _publish(folder: Path) -> int:
    from r1repro.config import ROOT
    from r1repro.reports.publish import publish

    if not folder.is_dir():
        raise R1ReproError(f"no run at {folder}: give a folder under runs/ with a report.html")
    print(f"published: {publish(folder, ROOT / 'reports')}")
    return 0


def _join(folders: Sequence[Path]) -> int:
    from r1repro.launch import join

    print(f"report: {join(folders)}")
    return 0


def _compare(first: Path, second: Path) -> int:
    from r1repro.artifacts import write_atomically
    from r1repro.reports.compare import compare, read
    from r1repro.runner.graph import graph

    one, other = read(first), read(second)
    text = compare(one, other, {name: stage.config for name, stage in graph().items()})
    print(text)
    target = Path(f"compare-{one.name}-{other.name}.md")
    write_atomically(target, text)
    print(f"written: {target}")
    return 0


def _chat(args: argparse.Namespace) -> int:
    from r1repro.chat import TOP_P, find, prompts, shown, speaker
    from r1repro.config import compose
    from r1repro.generation.sampler import Sampling

    if not args.temperature > 0:
        raise R1ReproError(
            f"--temperature {args.temperature:g} is not accepted: give a number above zero, or "
            "--greedy for greedy decoding"
        )
    config = compose(args.settings)
    names = [args.checkpoint, *filter(None, [args.beside])]
    found = [find(config, name, shlex.join(args.settings)) for name in names]
    speakers = [
        speaker(name, *place, config.engine) for name, place in zip(names, found, strict=True)
    ]
    sampling = Sampling(
        config.evaluation.max_completion_tokens, 0.0 if args.greedy else args.temperature, TOP_P
    )
    refused = 0
    for number, prompt in enumerate(prompts()):
        for one in speakers:
            try:
                print(shown(one.name, one.answer(prompt, sampling, number)), flush=True)
            except R1ReproError as error:  # concerns this prompt only
                print(f"error: {error}", file=sys.stderr)
                refused += 1
    return 2 if refused else 0


def _grade(args: argparse.Namespace) -> int:
    from r1repro.evaluation.grade import Counts, Job, grade
    from r1repro.rewards.verifier import throughput

    if args.seconds <= 0:
        raise R1ReproError(f"--seconds {args.seconds:g} is not accepted: give more than 0")
    job = Job(
        args.file, args.gold, args.text, args.question, args.answer_only, args.extract == "last",
        args.seconds,
    )  # fmt: skip
    began, counts = time.monotonic(), Counts()
    for row in grade(job, counts):
        _emit(row)
    for line in counts.lines(job):
        print(line, file=sys.stderr)
    print(throughput(counts.rows, time.monotonic() - began), file=sys.stderr)
    return 0


def _analyze(args: argparse.Namespace) -> int:
    from r1repro import records
    from r1repro.evaluation.analyze import Tags, analyze, summary
    from r1repro.tasks.gold import completion_text

    tags = Tags(tuple(args.think_tags), None if args.no_answer_tags else tuple(args.answer_tags))
    found, null = [], 0
    for number, row in records.read(args.file):
        text = completion_text(
            records.field(row, args.text, f"{args.file}, row {number}"),
            args.text,
            f"{args.file}, row {number}",
        )
        null += text is None
        found.append(analyze(text or "", tags, args.language))
        # A row's own fields stay as they are; a metric of the same name is called analyzed_...
        metrics = {f"analyzed_{k}" if k in row else k: v for k, v in found[-1].items()}
        _emit({"row": number, **row, **metrics})
    if null:
        print(f"completions that are null, read as empty: {null}", file=sys.stderr)
    for name, value in summary(found).items():
        print(f"{name}: {'none' if value is None else value}", file=sys.stderr)
    return 0


def _decontaminate(args: argparse.Namespace) -> int:
    from r1repro import records
    from r1repro.text.overlap import EVIDENCE, overlaps

    sides = []
    for file, name in ((args.train, args.field), (args.eval, args.eval_field or args.field)):
        rows = [(i, row, _text(row, name, f"{file}, row {i}")) for i, row in records.read(file)]
        if not rows:
            raise R1ReproError(f"{file} holds no rows: give a file with at least one")
        sides.append(rows)
    train, evaluation = sides
    found = overlaps([text for _, _, text in train], [text for _, _, text in evaluation])
    for one in found:
        if one.evidence in args.evidence:
            (number, row, text), (other, _, asked) = train[one.train], evaluation[one.evaluation]
            ours = {**asdict(one), "train": number, "evaluation": other}
            ours |= {"train_text": text, "eval_text": asked}
            # A row's own fields stay as they are; ours of the same name is called overlap_...
            _emit({**row, **{f"overlap_{k}" if k in row else k: v for k, v in ours.items()}})
    kinds = [one.evidence for one in found]
    exact, edited, numbers, phrase = map(kinds.count, EVIDENCE)
    print(
        f"{exact + edited} of {len(train)} rows overlap with {len(evaluation)}: {exact} exact, "
        f"{edited} edited; further {numbers} differ in numbers, {phrase} share a phrase; "
        "translations are not detected",
        file=sys.stderr,
    )
    return 0


def _doctor(folder: Path) -> int:
    from r1repro.runner.health import of_run

    print("\n".join(of_run(folder).lines()))
    return 0


def _text(row: dict[str, Any], name: str, place: str) -> str:
    from r1repro import records

    value = records.field(row, name, place)
    if not isinstance(value, str):
        raise R1ReproError(f"{place}: {name} is {type(value).__name__}: it must be a string")
    return value


def _emit(row: dict[str, Any]) -> None:
    # ASCII-escaped, so that lone surrogates and unusual line ends cannot break a line.
    print(json.dumps(_valid(row), default=str, allow_nan=False))


def _valid(value: Any) -> Any:
    """The value with null for what JSON has no number for: NaN and the infinities."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(name): _valid(inner) for name, inner in value.items()}
    return [_valid(inner) for inner in value] if isinstance(value, list) else value


if __name__ == "__main__":
    raise SystemExit(main())
