"""The command line: runs and their reports, and measures of anyone's files."""

import argparse
import json
import os
import shlex
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from r1repro import __version__
from r1repro.errors import R1ReproError, StageFailed

RUN_HELP = """\
settings are Hydra overrides, such as
  scale=smoke | laptop | gpu | paper   how large everything is (default laptop)
  seed=3                          of everything after the base
  stage.r1_zero.steps=200         any key of conf/ and r1repro/config.py
  from=STAGE                      build this stage and what is made from it anew
  until=STAGE                     stop after the notebook of this stage
  ablation=all                    with the ablations, or one: ablation.reasoning_only=true
finished stages are loaded, an interrupted one continues"""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 if a stage broke; 2 for what a person can mend; 130 for Ctrl-C."""
    parser = _parser()
    words, rest = parser.parse_known_args(argv)
    # argparse takes no settings after an option that stands among them.
    with_settings = words.command in ("run", "plan", "fetch", "chat")
    if not with_settings or any(word.startswith("-") for word in rest):
        parser.parse_args(argv)
    else:
        words.settings += rest
    try:
        if words.command == "plan":
            return _plan(words)
        if words.command == "publish":
            return _publish(words.run)
        if words.command == "compare":
            return _compare(words.first, words.second)
        if words.command == "fetch":
            return _fetch(words.settings)
        if words.command == "chat":
            return _chat(words)
        if words.command == "grade":
            return _grade(words)
        if words.command == "analyze":
            return _analyze(words)
        if words.command == "decontaminate":
            return _decontaminate(words)
        if words.command == "doctor":
            return _doctor(words.run)
        return _run(words.settings, words.multirun)
    except StageFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except R1ReproError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read the output has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk, a folder that may not be written
        print(f"error: {error.filename or 'r1repro'}: {error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if words.command != "run":
            return 130
        print("interrupted: the same command, without from=, continues from here", file=sys.stderr)
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
    run.add_argument("settings", nargs="*", metavar="key=value")
    run.add_argument(
        "-m",
        "--multirun",
        action="store_true",
        help="one run a seed of seed=0,1,2, then one report",
    )
    plan = commands.add_parser(
        "plan",
        help="what a run would do, its memory and its time, before any hour is spent",
        epilog=RUN_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    plan.add_argument("settings", nargs="*", metavar="key=value")
    plan.add_argument("--card", type=float, metavar="GB", help="memory of the card to plan for")
    plan.add_argument(
        "--no-probe", action="store_true", help="do not train for some ten seconds to tell the time"
    )
    fetch = commands.add_parser(
        "fetch",
        help="bring a configuration's models and data sets, for nodes without network",
    )
    fetch.add_argument("settings", nargs="*", metavar="key=value")
    publish = commands.add_parser("publish", help="copy a finished report to reports/")
    publish.add_argument("run", type=Path, help="the run's folder under runs/")
    compare = commands.add_parser("compare", help="what differs between two reports, and why")
    compare.add_argument("first", type=Path, help="a folder of reports/ or runs/")
    compare.add_argument("second", type=Path)
    chat = commands.add_parser("chat", help="talk to a checkpoint, or to two side by side")
    chat.add_argument("checkpoint", help="a stage, such as base, r1_zero or r1, or a model folder")
    chat.add_argument("settings", nargs="*", metavar="key=value", help="those of the run it is of")
    chat.add_argument("--beside", metavar="CHECKPOINT", help="another one that is asked the same")
    how = chat.add_mutually_exclusive_group()
    how.add_argument("--temperature", type=float, default=0.6, help="with top-p 0.95 (0.6)")
    how.add_argument("--greedy", action="store_true", help="the likeliest token every time")
    grade = commands.add_parser("grade", help="which of anyone's answers in mathematics are right")
    grade.add_argument("file", type=Path, help="a .jsonl, .json or .parquet file")
    grade.add_argument("--gold", default="gold",
                       help="the field with the right answer: alone, after #### or in a box "
                       "(gold)")  # fmt: skip
    grade.add_argument("--text", default="completion", help="the field to grade (completion)")
    grade.add_argument("--answer-only", action="store_true",
                       help="the text is the answer itself, with nothing around it; golds may be "
                       "sentences")  # fmt: skip
    grade.add_argument("--seconds", type=float, default=5.0, help="for one answer at most (5)")
    analyze = commands.add_parser(
        "analyze", help="format, language, reflection and repetition of anyone's completions"
    )
    analyze.add_argument("file", type=Path, help="a .jsonl, .json or .parquet file")
    analyze.add_argument("--text", default="completion", help="the field to read (completion)")
    analyze.add_argument("--language", choices=("auto", "en", "zh"), default="auto",
                         help="of the question; auto: the one with more words")  # fmt: skip
    tags: dict[str, Any] = {"nargs": 2, "metavar": ("OPEN", "CLOSE")}
    analyze.add_argument("--think-tags", default=("<think>", "</think>"), **tags)
    analyze.add_argument("--answer-tags", default=("<answer>", "</answer>"), **tags)
    analyze.add_argument("--no-answer-tags", action="store_true",
                         help="the answer follows the thinking, as R1 writes it")  # fmt: skip
    clean = commands.add_parser(
        "decontaminate",
        help="rows of one file that another holds too, counted from 1, with the evidence",
    )
    clean.add_argument("train", type=Path, help="a .jsonl, .json or .parquet file")
    clean.add_argument("eval", type=Path)
    clean.add_argument("--field", default="problem", help="the field that is compared (problem)")
    clean.add_argument("--eval-field", help="its name in the second file, where that is another")
    doctor = commands.add_parser("doctor", help="what is wrong with a run, and what helps")
    doctor.add_argument("run", type=Path, help="the run's folder under runs/")
    return parser


def _run(settings: Sequence[str], multirun: bool) -> int:
    from r1repro.cluster import submit, work
    from r1repro.config import compose, sweep

    configs = sweep(settings) if multirun else [compose(settings)]
    if configs[0].launch.cluster == "here":
        work(configs, multirun)
    else:
        job, log = submit(configs, multirun)
        print(f"job {job}, its log: {log}")
    return 0


def _fetch(settings: Sequence[str]) -> int:
    from r1repro.config import compose
    from r1repro.planning import preflight

    fetched = 0
    for line in preflight.fetch(compose(settings)):
        print(line, flush=True)
        fetched += 1
    if not fetched:
        print("nothing to fetch: this configuration makes everything here")
    return 0


def _plan(words: argparse.Namespace) -> int:
    from r1repro.config import compose
    from r1repro.planning.plan import plan

    if words.card is not None and not words.card > 0:
        raise R1ReproError(
            f"--card={words.card:g} is not accepted: give the GB of a card, such as 24"
        )
    for line in plan(compose(words.settings), words.card, not words.no_probe):
        print(line, flush=True)
    return 0


def _publish(folder: Path) -> int:
    from r1repro.config import ROOT
    from r1repro.reports.publish import publish

    if not folder.is_dir():
        raise R1ReproError(f"no run at {folder}: give a folder under runs/ with a report.html")
    print(f"published: {publish(folder, ROOT / 'reports')}")
    return 0


def _compare(first: Path, second: Path) -> int:
    from r1repro.artifacts import write_atomically
    from r1repro.reports.compare import compare, read
    from r1repro.stages import graph

    one, other = read(first), read(second)
    text = compare(one, other, {name: stage.config for name, stage in graph().items()})
    print(text)
    target = Path(f"compare-{one.name}-{other.name}.md")
    write_atomically(target, text)
    print(f"written: {target}")
    return 0


def _chat(words: argparse.Namespace) -> int:
    from r1repro.chat import TOP_P, find, prompts, shown, speaker
    from r1repro.config import compose
    from r1repro.generation.sampler import Sampling

    if not words.temperature > 0:
        raise R1ReproError(
            f"--temperature {words.temperature:g} is not accepted: it is above zero, and --greedy "
            "takes the likeliest token every time"
        )
    config = compose(words.settings)
    names = [words.checkpoint, *filter(None, [words.beside])]
    found = [find(config, name, shlex.join(words.settings)) for name in names]
    speakers = [
        speaker(name, *place, config.engine) for name, place in zip(names, found, strict=True)
    ]
    sampling = Sampling(
        config.evaluation.max_completion_tokens, 0.0 if words.greedy else words.temperature, TOP_P
    )
    refused = 0
    for number, prompt in enumerate(prompts()):
        for one in speakers:
            try:
                print(shown(one.name, one.answer(prompt, sampling, number)), flush=True)
            except R1ReproError as error:  # of this prompt alone
                print(f"error: {error}", file=sys.stderr)
                refused += 1
    return 2 if refused else 0


def _grade(words: argparse.Namespace) -> int:
    from r1repro import records
    from r1repro.rewards.verifier import Verifier, check_gold, throughput
    from r1repro.tasks.sources import right_answer
    from r1repro.text.prose import is_sentence

    if words.seconds <= 0:
        raise R1ReproError(f"--seconds {words.seconds:g} leaves no time: give more than 0")
    rows, golds, texts = [], [], []
    for number, row in records.read(words.file):
        place = f"{words.file}, row {number}"
        gold = records.field(row, words.gold, place)
        if gold is None:
            raise R1ReproError(f"{place}: {words.gold} is empty, and a right answer is wanted")
        golds.append(right_answer(str(gold)))
        check_gold(golds[-1], place, sentences=words.answer_only)
        rows.append(row)
        texts.append(_text(row, words.text, place))
    began, right, reasons = time.monotonic(), 0, Counter[str]()
    with Verifier(seconds=words.seconds) as verifier:
        for row, verdict in zip(rows, verifier.grade(golds, texts, words.answer_only), strict=True):
            _emit({**row, **asdict(verdict)})
            right += verdict.correct
            reasons[verdict.reason] += 1
    print(f"correct: {right} of {len(rows)}", file=sys.stderr)
    for reason, count in reasons.most_common():
        print(f"{reason}: {count}", file=sys.stderr)
    if sentences := sum(map(is_sentence, golds)):
        told = "gold answers that are sentences, and equal to their own words alone"
        print(f"{told}: {sentences}", file=sys.stderr)
    print(throughput(len(rows), time.monotonic() - began), file=sys.stderr)
    return 0


def _analyze(words: argparse.Namespace) -> int:
    from r1repro import records
    from r1repro.evaluation.analyze import Tags, analyze, summary

    tags = Tags(tuple(words.think_tags), None if words.no_answer_tags else tuple(words.answer_tags))
    found = []
    for number, row in records.read(words.file):
        text = _text(row, words.text, f"{words.file}, row {number}")
        found.append(analyze(text, tags, words.language))
        _emit({"row": number, **found[-1]})
    for name, value in summary(found).items():
        print(f"{name}: {'none' if value is None else value}", file=sys.stderr)
    return 0


def _decontaminate(words: argparse.Namespace) -> int:
    from r1repro import records
    from r1repro.evaluation.decontaminate import overlaps

    sides = []
    for file, name in ((words.train, words.field), (words.eval, words.eval_field or words.field)):
        rows = records.read(file)
        sides.append([(i, _text(row, name, f"{file}, row {i}")) for i, row in rows])
    train, evaluation = sides
    found = overlaps([text for _, text in train], [text for _, text in evaluation])
    for one in found:
        (row, text), (other, asked) = train[one.train], evaluation[one.evaluation]
        rows_told = {"train": row, "evaluation": other}
        _emit({**asdict(one), **rows_told, "train_text": text, "eval_text": asked})
    exact = sum(one.evidence == "exact" for one in found)
    print(
        f"{len(found)} of {len(train)} rows overlap with {len(evaluation)}: {exact} exact, "
        f"{len(found) - exact} by n-grams; translations are not looked for",
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
        raise R1ReproError(f"{place}: {name} is {type(value).__name__}, and a text is wanted")
    return value


def _emit(row: dict[str, Any]) -> None:
    # Escaped, so that neither a lone surrogate nor an odd line end breaks a line of the output.
    print(json.dumps(row, default=str))


if __name__ == "__main__":
    raise SystemExit(main())
