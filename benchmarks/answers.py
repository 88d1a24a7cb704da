"""Measures the verifier on labelled answers: wrong ones accepted, right ones accepted, speed.

`python benchmarks/answers.py CASES [--show]`: CASES holds JSON lines with gold, completion,
expected (true or false) and perhaps question. --show lists the rows judged otherwise.
"""

import argparse
import json
import time
from pathlib import Path

from r1repro.rewards.verifier import Verifier


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--show", action="store_true", help="list the rows judged otherwise")
    args = parser.parse_args()
    lines = args.cases.read_text(encoding="utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line]
    with Verifier() as pool:
        list(pool.grade(["x"], ["<answer>x+1</answer>"]))  # starts the workers
        began = time.monotonic()
        found, slowest = [], 0.0
        for row in rows:
            start = time.monotonic()
            asked = [row.get("question")]
            found += pool.grade([row["gold"]], [row["completion"]], questions=asked)
            slowest = max(slowest, time.monotonic() - start)
    spent = time.monotonic() - began
    for expected, what in ((False, "different answers accepted"), (True, "equal answers accepted")):
        mine = [(row, v) for row, v in zip(rows, found, strict=True) if row["expected"] is expected]
        strict, lenient = (
            sum(getattr(v, name) for _, v in mine) for name in ("correct", "lenient")
        )
        print(f"{what}: {strict} of {len(mine)}, lenient {lenient}")
        for row, v in mine if args.show else ():
            if v.correct is not expected:
                print(f"  {row['gold']!r} | {v.extracted!r}: {v.reason}; {row.get('why', '')}")
    print(f"{len(rows) / spent:.0f} verdicts/s one at a time, slowest {1000 * slowest:.0f} ms")


if __name__ == "__main__":
    main()
