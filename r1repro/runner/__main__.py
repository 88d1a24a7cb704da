"""Entry point of a launched stage: `python -m r1repro.runner NAME RESOLVED`."""

import sys
from pathlib import Path

from r1repro.config import load
from r1repro.runner.processes import end_with, run_reported

if __name__ == "__main__":
    end_with(sys.stdin.fileno())
    raise SystemExit(run_reported(load(Path(sys.argv[2])), sys.argv[1]))
