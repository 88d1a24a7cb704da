"""What the learned process model knows of steps, beside the checker that it takes the place of."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from r1repro.config import Config, lab
from r1repro.lab.rounds import ranked_right
from r1repro.reports.markup import Html, Row, Shown, Table, paragraphs
from r1repro.rewards.steps import TRUE, read_steps
from r1repro.runner.workspace import Workspace

NOTEBOOK = "advantages"
LATE = 3
"""Steps from this number on are one row."""


def judged(config: Config) -> Shown | None:
    """Held-out pairs of beginnings that the model ranks right, by step, if it was trained.

    A beginning of a right answer against one of a wrong answer to the same question. In some, all
    steps of both hold, so the checker cannot tell them apart. Intervals over questions.
    """
    pairs = _held_out(config)
    if pairs is None:
        return paragraphs(
            f"The model has not been trained with these settings: `r1repro run lab={NOTEBOOK}` "
            "with the same settings trains it."
        )
    rows = [Row(name, (ranked_right(part), str(len(part)))) for name, part in by_step(pairs)]
    return Table(("Ranked right", "Pairs"), tuple(rows), "Beginnings that end with")


def told(config: Config) -> Html | None:
    """How good the model is, over all held-out pairs; None if it was not trained."""
    if (pairs := _held_out(config)) is None:
        return None
    return paragraphs(
        f"The learned model scores the right side higher in {ranked_right(pairs)} of {len(pairs)} "
        "held-out pairs of beginnings, where chance is 50 %: how the arm that it pays ended is a "
        "finding about a model that good, and says little about a better one."
    )


def _held_out(config: Config) -> pd.DataFrame | None:
    """The pairs that the model was not trained on; None if it was not trained."""
    space = Workspace(replace(config, lab=NOTEBOOK))
    if not space.is_done(lab.PROCESS):
        return None
    pairs = pd.read_parquet(space.place(lab.PROCESS) / "pairs.parquet")
    return pairs[pairs["split"] == "held out"]


def by_step(pairs: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The pairs by the number of the step, and those that the checker cannot tell apart."""
    numbers = pairs["step"].clip(upper=LATE)
    for number, part in pairs.groupby(numbers):
        yield f"step {number}{' or a later one' if number == LATE else ''}", part
    alike = [
        all(step.reward == TRUE for text in both for step in read_steps(text))
        for both in zip(pairs["chosen"], pairs["rejected"], strict=True)
    ]
    yield "any step, every step of both being true", pairs[np.array(alike, dtype=bool)]
