"""`r1repro` with a trap: python -m tests.crash.runner run scale=smoke ..."""

import json
import os
import sys
from pathlib import Path

from r1repro import cli
from r1repro.runner import processes
from tests.crash import trap

if __name__ == "__main__":
    if trap.SETTING in os.environ:
        chosen = json.loads(os.environ[trap.SETTING])
        (Path(chosen["folder"]) / "runner").write_text(str(os.getpid()))
        processes.PRELOADED.append("tests.crash.trap")
    sys.exit(cli.main())
