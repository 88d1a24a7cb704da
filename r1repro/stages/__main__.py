"""Entry point of a stage's process: `python -m r1repro.stages NAME --config FILE`."""

import argparse
import threading
import traceback

from r1repro.config import load
from r1repro.stages.process import REASON, end_with_parent, run_here


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m r1repro.stages")
    parser.add_argument("name")
    parser.add_argument("--config", required=True)
    args = parser.parse_args()
    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        run_here(load(args.config), args.name)
    except Exception as error:
        traceback.print_exc()
        said = " ".join(str(error).split())
        print(f"{REASON}{type(error).__name__}: {said}" if said else REASON + type(error).__name__)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
