"""The command line: `r1repro run [key=value ...]`, `publish RUN` and `compare A B`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

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
    if words.command != "run" or any(word.startswith("-") for word in rest):
        parser.parse_args(argv)
    else:
        words.settings += rest
    try:
        if words.command == "publish":
            return _publish(words.run)
        if words.command == "compare":
            return _compare(words.first, words.second)
        return _run(words.settings, words.multirun)
    except StageFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except R1ReproError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # a full disk, a folder that may not be written
        print(f"error: {error.filename or 'r1repro'}: {error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
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
    publish = commands.add_parser("publish", help="copy a finished report to reports/")
    publish.add_argument("run", type=Path, help="the run's folder under runs/")
    compare = commands.add_parser("compare", help="what differs between two reports, and why")
    compare.add_argument("first", type=Path, help="a folder of reports/ or runs/")
    compare.add_argument("second", type=Path)
    return parser


def _run(settings: Sequence[str], multirun: bool) -> int:
    from r1repro.config import compose, sweep
    from r1repro.pipeline import run, run_seeds

    report = run_seeds(sweep(settings)) if multirun else run(compose(settings)).report
    print(f"report: {report}")
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

    one, other = read(first), read(second)
    text = compare(one, other)
    print(text)
    target = Path(f"compare-{one.name}-{other.name}.md")
    write_atomically(target, text)
    print(f"written: {target}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
