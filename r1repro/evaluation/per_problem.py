"""Evaluations with one row per problem, and the counts that a published version keeps.

The tables have an index of problem and language, task and level, and columns `<measure>` and
`<measure>:of`; a metric is the ratio of their sums over problems.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from r1repro.errors import R1ReproError
from r1repro.evaluation.rows import with_work
from r1repro.evaluation.statistics import cons_at_k, pass_at_k
from r1repro.rewards.soundness import MODES
from r1repro.tasks.problem import GENERAL
from r1repro.text.tags import thinking
from r1repro.text.turns import runs_on
from r1repro.text.withdrawal import reconsiders

KEYS = ["problem_id", "language"]
COUNTED = [*KEYS, "task", "level", "correct"]
"""Columns of evaluation.parquet that `counts` needs."""
Ratio = tuple[NDArray[np.float64], NDArray[np.float64] | float]


def measure_of(mode: str) -> str:
    """The measure that counts a mode of r1repro.rewards.soundness, such as "wrong_gave_up"."""
    return f"wrong_{mode.replace(' ', '_')}"


def per_problem(evaluation: pd.DataFrame) -> pd.DataFrame:
    """The table of an evaluation.parquet. Raises R1ReproError if it has no rows."""
    if evaluation.empty:
        raise R1ReproError(
            "the evaluation has no rows, so nothing can be measured; evaluate at least one problem"
        )
    groups = evaluation.groupby(KEYS, sort=True)
    table = groups[["task", "level"]].first()
    n = groups.size().to_numpy()
    right = groups["correct"].sum().to_numpy(dtype=float)
    k = _samples(table, n)
    votes = np.array([cons_at_k(rows["vote"], rows["correct"]) for _, rows in groups])
    voted = {f"cons@{k}": (votes, 1.0), f"vote_gain@{k}": (votes - right / n, 1.0)}
    behaviour = _behaviour(with_work(evaluation), groups.ngroup(), right, n)
    return _filled(table, _accuracy(right, n, k) | voted | behaviour)


def counts(evaluations: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Right answers and samples of every problem: columns `<checkpoint>` and `<checkpoint>:of`.

    evaluations: rows with the columns COUNTED, by checkpoint.
    """
    asked = pd.concat(rows[COUNTED[:-1]] for rows in evaluations.values()).drop_duplicates(KEYS)
    parts = [asked.set_index(KEYS)]
    for name, rows in evaluations.items():
        right = rows.groupby(KEYS)["correct"].agg(["sum", "size"]).astype("Int16")
        parts.append(right.rename(columns={"sum": name, "size": f"{name}:of"}))
    return pd.concat(parts, axis=1).sort_index()


def write_counts(path: Path, found: pd.DataFrame) -> None:
    """Write `counts` as a small file."""
    found.to_parquet(path, compression="zstd", compression_level=19)


def of_counts(found: pd.DataFrame, name: str) -> pd.DataFrame:
    """The table of a checkpoint's accuracy (pass@k) from `counts`; empty if it has none."""
    if name not in found:
        return found.iloc[:0]
    asked = found[found[f"{name}:of"].notna()]
    right, n = asked[name].to_numpy(dtype=float), asked[f"{name}:of"].to_numpy(dtype=int)
    table = asked[["task", "level"]].copy()
    return _filled(table, _accuracy(right, n, _samples(table, n)))


def reconsidered(rows: pd.DataFrame) -> pd.Series:
    """Rows with a right answer whose thinking withdraws a result and then states another."""
    found = [
        bool(right) and isinstance(text, str) and reconsiders(thinking(text))
        for right, text in zip(rows["correct"], rows["text"], strict=True)
    ]
    return pd.Series(found, index=rows.index)


def _samples(table: pd.DataFrame, n: NDArray[np.int64]) -> int:
    """Samples per reasoning problem; general items may have fewer, and only pass@1 is used."""
    reasoning = ~table["task"].isin(GENERAL).to_numpy()
    return int(n[reasoning].min() if reasoning.any() else n.min())


def _filled(table: pd.DataFrame, columns: Mapping[str, Ratio]) -> pd.DataFrame:
    for name, (top, bottom) in columns.items():
        table[name], table[f"{name}:of"] = top, bottom
    return table


def _accuracy(right: NDArray[np.float64], n: NDArray[np.int64], k: int) -> dict[str, Ratio]:
    sizes = sorted({2**i for i in range(1, k.bit_length())} | ({k} - {1}))
    found: dict[str, Ratio] = {"pass@1": (right / n, 1.0)}
    for size in sizes:
        found[f"pass@{size}"] = pass_at_k(np.maximum(n, size), right.astype(int), size), 1.0
    return found


def _behaviour(
    rows: pd.DataFrame, which: pd.Series, right: NDArray[np.float64], n: NDArray[np.int64]
) -> dict[str, Ratio]:
    """Measures of the texts; which: the problem of each row, as a place in `right` and `n`."""

    def mean(column: str | pd.Series) -> Ratio:
        values = rows[column] if isinstance(column, str) else column
        return values.groupby(which).mean().to_numpy(dtype=float), 1.0

    def total(values: pd.Series) -> NDArray[np.float64]:
        found: NDArray[np.float64] = values.groupby(which).sum().to_numpy(dtype=float)
        return found

    correct, works, written = rows["correct"], rows["worked"], rows["tokens"]
    reflected, language = rows["reflection_count"], rows["language_share"]
    tokens, tokens_right = total(written), total(written.where(correct, 0))
    reflections, reflections_right = total(reflected), total(reflected.where(correct, 0))
    worked, again = total(works), reconsidered(rows)
    ran_on = [isinstance(text, str) and runs_on(text) for text in rows["text"]]
    return {
        "strict_pass@1": mean("strict_correct"),
        # older files have no such column
        "lenient_pass@1": mean("lenient_correct" if "lenient_correct" in rows else "correct"),
        "runs_on": mean(pd.Series(ran_on, index=rows.index)),
        "format_valid": mean("format_valid"),
        "length": mean("tokens"),
        "length_correct": (tokens_right, right),
        "length_wrong": (tokens - tokens_right, n - right),
        "clipped": (1.0 - mean("finished")[0], 1.0),
        "reflection_per_response": mean("reflection_count"),
        "reflection_per_1k_tokens": (1000 * reflections, tokens),
        "reflection_correct": (reflections_right, right),
        "reflection_wrong": (reflections - reflections_right, n - right),
        "language_share": (
            np.nan_to_num(mean(language)[0]),
            (total(language.notna()) > 0).astype(float),
        ),
        "mixed": mean("mixed"),
        "repetition": mean("repetition"),
        "readability": mean("readable"),
        "sound": (total(rows["sound"] & correct), right),
        "unworked": (total(rows["unworked"] & correct), right),
        "false_check": mean("false_check"),
        "coverage": (total(rows["coverage"]), total(rows["coverage"].notna())),
        **{measure_of(mode): mean(rows["mode"] == mode) for mode in MODES if mode != "right"},
        "worked": mean("worked"),
        "worked_right": (total(works & correct), worked),
        "length_worked": (total(written.where(works, 0)), worked),
        "reflection_worked": (total(reflected.where(works, 0)), worked),
        "reconsidered": mean(again),
        "reconsidered_right": (total(again), right),
    }
