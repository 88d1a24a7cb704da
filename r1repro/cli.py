"""The command line: runs one of r1repro.commands and reports its errors in one sentence."""

import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress

from r1repro.commands import DEBUG, PARSER
from r1repro.errors import R1ReproError, StageFailed


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, 1 if a stage failed, 2 for a usage error, 130 if interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = DEBUG in words
    args = _parsed([word for word in words if word != DEBUG])
    try:
        return args.do(args) or 0
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of the output closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug:
            traceback.print_exc()
        print(f"error: {_sentence(error)}", file=sys.stderr)
        return 1 if isinstance(error, StageFailed) else 2


def command() -> None:
    """The installed command: `main`, and an exit that no unfinished notebook delays."""
    code = main()
    if code == 130:
        # A notebook's thread cannot be ended; its kernel ends when this process is gone.
        with suppress(OSError):
            sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def _parsed(words: Sequence[str]) -> Namespace:
    args, rest = PARSER.parse_known_args(words)
    # argparse does not accept positional settings after an option.
    if not hasattr(args, "settings") or any(word.startswith("-") for word in rest):
        PARSER.parse_args(words)
    else:
        args.settings += rest
    return args


def _sentence(error: Exception) -> str:
    if isinstance(error, R1ReproError):
        return str(error)
    if isinstance(error, OSError):  # for example a full disk or a read-only folder
        return f"{error.filename or 'r1repro'}: {error.strerror or error}"
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said} (not expected: run again with {DEBUG}, and report it)"


if __name__ == "__main__":
    command()
