"""A searcher small enough for a pencil: what a cap on tokens buys, and what lengths hide.

It tries candidates, each right with the same probability, and each costs as many tokens.
"""

from collections.abc import Mapping

import pandas as pd

_HOW = ("short", "long")


def by_hand(p: float, cost: int, tries: int) -> pd.DataFrame:
    """The searcher stops at the first right candidate: a row per most candidates that it may try.

    p: of a candidate; cost: its tokens. Columns: the budget in tokens, pass@1, and the mean tokens
    of right and of wrong answers.
    """
    rows, found, spent = {}, 0.0, 0.0
    for k in range(1, tries + 1):
        chance = (1 - p) ** (k - 1) * p
        found, spent = found + chance, spent + chance * k * cost
        rows[k] = {
            "budget": k * cost, "pass@1": found, "tokens of right answers": spent / found,
            "tokens of wrong answers": float(k * cost),
        }  # fmt: skip
    return pd.DataFrame(rows).T.rename_axis("candidates")


def budgets(chances: Mapping[str, float], cost: int, most: int) -> pd.DataFrame:
    """pass@1 of the searcher over the cap on tokens, up to `most`, by question."""
    caps = pd.RangeIndex(0, most + 1, name="cap")
    return pd.DataFrame(
        {name: 1 - (1 - p) ** (caps.to_numpy() // cost) for name, p in chances.items()}, index=caps
    )


def paradox(
    chances: Mapping[str, float], long: Mapping[str, float], tries: tuple[int, int] = (1, 2)
) -> pd.DataFrame:
    """Share of right answers, short and long, by kind of question and over all (Simpson's paradox).

    Short and long answers try `tries` candidates; long: the share of each kind's answers that is.
    The kinds are equally many. Columns `short`, `long`, and the `difference`.
    """
    rows: dict[str, dict[str, float]] = {}
    for name, p in chances.items():
        rows[name] = {how: 1 - (1 - p) ** k for how, k in zip(_HOW, tries, strict=True)}
    given = {"short": {name: 1 - share for name, share in long.items()}, "long": long}
    rows["all"] = {
        how: sum(given[how][name] * rows[name][how] for name in chances) / sum(given[how].values())
        for how in _HOW
    }
    found = pd.DataFrame(rows).T
    return found.assign(difference=found["long"] - found["short"])
