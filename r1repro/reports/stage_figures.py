"""Figures and small tables of the stages, from their stored tables and summaries.

Model text in them is escaped.
"""

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from r1repro.evaluation import metrics
from r1repro.evaluation.checkpoints import (
    ARMS,
    BLUE,
    CHAIN,
    GREEN,
    GREY,
    INK,
    STUDENTS,
    VERMILION,
    key,
    label_of,
    of_student,
)  # fmt: skip
from r1repro.evaluation.results import Costs, Results
from r1repro.evaluation.statistics import Estimate, interval, resampled_ratios, share_interval
from r1repro.reports import drawing
from r1repro.reports.drawing import Drawing, described
from r1repro.reports.figures import evaluated_students
from r1repro.reports.markup import Html
from r1repro.reports.tables import general_paths, paths_of
from r1repro.reports.transcripts import LANGUAGES, card, cards
from r1repro.text.tags import thinking
from r1repro.training.flops import equal_flops_row

FILTERS: dict[str, tuple[str, ...]] = {
    "cold_start_data": (
        "cut off at the cap", "wrong answer", "repetition", "mixed languages", "unsound reasoning",
    ),
    "rejection_sampling": (
        "cut off at the cap", "wrong answer", "mixed languages", "repetition", "long paragraphs",
        "code blocks", "unsound reasoning",
    ),
}  # fmt: skip
"""The filters of each stage, in order."""
SURPLUS = ("near-duplicate", "the same as another", "more than are kept of a question")
"""Reasons to drop a sample that has passed every filter."""
WAYS: dict[str, tuple[str, str]] = {
    "distilled": (VERMILION, "^"),
    "distilled_rl": (VERMILION, "D"),
    "rl_equal_flops": (BLUE, "s"),
    "rl": (BLUE, "o"),
}
"""Colour and marker of each kind of training in ARMS."""


@described
def fine_tuning(runs: Mapping[str, pd.DataFrame], pairs: bool = False) -> Drawing:
    """Loss, accuracy and learning rate of fine-tuning over its updates.

    runs: metrics by stage; pairs: whether they are of a reward model, which learns from pairs.
    """
    figure = drawing.empty(10.4, 2.9)
    loss, right, rate = panels = figure.subplots(1, 3)
    for i, (name, rows) in enumerate(runs.items()):
        label, colour, _ = drawing.checkpoint(name, i)
        dash = drawing.DASHES[i % len(drawing.DASHES)]
        for panel, column in zip(panels, ("loss", "accuracy", "lr"), strict=True):
            drawing.line(panel, rows, column, colour, label, dash)
    if pairs:
        loss.set(title="Loss on pairs", ylabel="nats per pair")
        right.set(title="Chosen scores higher, in training", ylabel="share of pairs")
    else:
        loss.set(title="Loss on the completions", ylabel="nats per token")
        right.set(title="Most likely token is right", ylabel="share of tokens")
    right.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    rate.set(title="Learning rate", ylabel="of the matrices (Muon)")
    drawing.from_zero(loss)
    drawing.from_zero(rate)
    for panel in panels:
        panel.set_xlabel("update")
    if len(runs) > 1:
        loss.legend()
    drawing.whole_steps(panels)
    return figure


def speed(runs: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The step at which each {stage: metrics} reaches a training pass@1, and its early variation.

    Steps are those of `steps_to`. Each column is one run, so there is no interval.
    """
    columns = {}
    for name, rows in runs.items():
        right = pd.to_numeric(rows["pass_at_1"])
        steps = {share: steps_to(rows, share) for share in (0.4, 0.5, 0.6)}
        columns[label_of(name)] = {
            "pass@1 at the first step": f"{100 * right.iloc[0]:.1f}\u00a0%",
            **{
                f"step at which it reaches {100 * share:.0f}\u00a0%": (
                    f"not within {int(rows['step'].max())}" if step is None else f"{step}"
                )
                for share, step in steps.items()
            },
            "pass@1, last 5 steps": f"{100 * right.rolling(5, 1).mean().iloc[-1]:.1f}\u00a0%",
            "deviation of the reward in a batch, first 10 steps": (
                f"{rows['reward_deviation'].head(10).mean():.3f}"
            ),
            "deviation of pass@1's change from step to step, first 10 steps": (
                f"{100 * right.head(10).diff().std():.1f} points"
            ),
        }
    return pd.DataFrame(columns).rename_axis("training prompts")


def steps_to(rows: pd.DataFrame, share: float, window: int = 5) -> int | None:
    """The first step at which the mean pass@1 of the last `window` steps is `share` or more.

    The first `window` - 1 steps do not count, unless the run is shorter.
    """
    least = min(window, len(rows))
    mean = pd.to_numeric(rows["pass_at_1"]).rolling(window, min_periods=least).mean()
    found = rows["step"][mean >= share]
    return int(found.iloc[0]) if len(found) else None


def drops(samples: pd.DataFrame, stage: str) -> pd.DataFrame:
    """Samples dropped by each of the stage's filters in order, and the number left after it."""
    found = samples["dropped"].value_counts()
    between = [name for name in found.index if name not in ("", *FILTERS[stage], *SURPLUS)]
    order = [*FILTERS[stage], *between, *(name for name in SURPLUS if name in found)]
    dropped = pd.Series({"sampled": 0, **{name: int(found.get(name, 0)) for name in order}})
    table = pd.DataFrame({"dropped": dropped, "left": len(samples) - dropped.cumsum()})
    share = table["dropped"] / max(1, len(samples))
    table["dropped, of all"] = ["–", *(f"{100 * part:.1f}\u00a0%" for part in share[1:])]
    return table.rename_axis("reason")


def share(right: pd.Series, of: pd.Series) -> Estimate:
    """The share of rows that are right, with a 95 % interval by bootstrap over the problems `of`.

    Rows of one problem are correlated, so problems rather than rows are resampled.
    """
    sums = right.astype(float).groupby(of).agg(["sum", "size"]).to_numpy(dtype=float)
    if not len(sums):
        return Estimate(math.nan, math.nan, math.nan, 0)
    top, bottom = sums[:, :1], sums[:, 1:]
    lows, highs = interval(resampled_ratios(top, bottom))
    value = float(top.sum() / bottom.sum())
    low, high = share_interval(float(lows[0]), float(highs[0]), value, (top / bottom)[:, 0])
    return Estimate(value, low, high, len(sums))


def acceptance_table(samples: pd.DataFrame) -> pd.DataFrame:
    """Share of the samples that pass every filter, by family, language and level."""
    cells = {}
    for (task, language, level), rows in samples.groupby(["task", "language", "level"]):
        passed = share(rows["dropped"].isin(["", *SURPLUS]), rows["problem_id"])
        cells[task, language, f"level {level}"] = metrics.shown(passed, "pass@1")
    table = pd.Series(cells, dtype=object).unstack(fill_value="–")
    table.index = pd.Index([f"{task}, {LANGUAGES.get(lang, lang)}" for task, lang in table.index])
    return table


def sizes(data: pd.DataFrame) -> pd.DataFrame:
    """Number of examples in a data set by family, language and level."""
    names = data["language"].map(lambda language: LANGUAGES.get(language, language))
    table = data.groupby(["task", names, "level"]).size().unstack(fill_value=0)
    table.columns = [f"level {level}" for level in table.columns]
    table["all levels"] = table.sum(axis=1)
    table.loc[("all", ""), :] = table.sum()
    return table.astype(int)


def first_of_each(data: pd.DataFrame) -> pd.DataFrame:
    """The first example by id of each family and language."""
    return _first(data.sort_values("problem_id", kind="stable"))


def _first(ordered: pd.DataFrame) -> pd.DataFrame:
    return ordered.drop_duplicates(["task", "language"]).sort_values(["task", "language"])


def most_edited(data: pd.DataFrame) -> pd.DataFrame:
    """The example of each family and language whose thinking was shortened most, if any."""
    before, after = (data[name].map(thinking).str.len() for name in ("original", "completion"))
    shorter = data.assign(shorter=before - after)[before > after]
    order = ["shorter", "problem_id"]
    return _first(shorter.sort_values(order, ascending=[False, True], kind="stable"))


def before_and_after(data: pd.DataFrame) -> Html:
    """Rows of a cold-start data set: original and rewritten sample."""
    return cards(
        card(row, [("as sampled", row["original"]), ("rewritten", row["completion"])])
        for _, row in data.iterrows()
    )


def examples(data: pd.DataFrame) -> Html:
    """Rows of a data set: question and target completion."""
    return cards(card(row, [("", row["completion"])]) for _, row in data.iterrows())


@described
def general_families(summaries: Results) -> Drawing:
    """The share of right answers to held-out general prompts, by family, with 95 % intervals."""
    families = general_paths(paths_of(summaries))
    figure = drawing.empty(7.6, 3.3)
    panel = figure.subplots()
    for j, (name, summary) in enumerate(summaries.items()):
        offset = 0.14 * (j - (len(summaries) - 1) / 2)
        there = {i + offset: summary[path] for i, path in enumerate(families) if path in summary}
        drawing.points(panel, there, name, j)
    panel.set(title="General tasks", ylabel="right answers, held-out prompts", xlabel="family")
    panel.set_xticks(range(len(families)), [path.removeprefix("general/") for path in families])
    drawing.percent(panel)
    panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=max(len(summaries), 1))
    return figure


def pair_table(pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs by task, and how often the better answer of a held-out pair has the higher score.

    Beside it: how often the longer and the shorter answer is the better one; ties count half.
    """
    rows = {str(task): _judged(some) for task, some in pairs.groupby("task")}
    rows["all"] = _judged(pairs)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("task")


def _judged(pairs: pd.DataFrame) -> dict[str, object]:
    held_out = pairs[pairs["split"] == "held out"]
    longer = (np.sign(_gap(held_out)) + 1) / 2

    def told(right: pd.Series) -> str:
        return metrics.shown(share(right, held_out["problem_id"]), "pass@1")

    return {
        "pairs to learn from": int((pairs["split"] == "train").sum()),
        "held-out pairs": len(held_out),
        "right, held out": told(held_out["score_chosen"] > held_out["score_rejected"]),
        "the longer one, held out": told(longer),
        "the shorter one": told(1 - longer),
        "characters, chosen": round(float(pairs["chosen"].str.len().mean()), 1),
        "characters, rejected": round(float(pairs["rejected"].str.len().mean()), 1),
    }


def _gap(pairs: pd.DataFrame) -> pd.Series:
    """By how many characters the chosen answer is longer."""
    return pairs["chosen"].str.len() - pairs["rejected"].str.len()


@described
def pair_lengths(pairs: pd.DataFrame) -> Drawing:
    """Length differences of the pairs, and score differences of the held-out pairs."""
    figure = drawing.empty(9.2, 3.0)
    left, right = panels = figure.subplots(1, 2)
    gap = _gap(pairs)
    edge = max(1, int(gap.abs().max())) + 0.5 if len(gap) else 1.5
    left.hist(gap, bins=np.linspace(-edge, edge, 32), color=BLUE)
    left.set(title="Length", xlabel="characters, chosen less rejected")
    held_out = pairs[pairs["split"] == "held out"]
    apart = held_out["score_chosen"] - held_out["score_rejected"]
    right.hist(apart, bins=np.linspace(-1, 1, 33), color=GREEN)
    right.set(title="Scores of held-out pairs", xlabel="score, chosen less rejected")
    for panel in panels:
        panel.axvline(0, color="#9aa0a8", linestyle=":")
        panel.set_ylabel("pairs")
    return figure


def show_pairs(pairs: pd.DataFrame) -> Html:
    """The first held-out pair by id of each task and language, with its scores."""
    made = []
    for _, row in first_of_each(pairs[pairs["split"] == "held out"]).iterrows():
        texts = [(f"{n} · score {row[f'score_{n}']:.3f}", row[n]) for n in ("chosen", "rejected")]
        made.append(card(row, texts))
    return cards(made)


def reached(rl: pd.DataFrame, budget: float) -> str:
    """The step at which RL had spent distillation's FLOPs, in words."""
    row = rl.iloc[equal_flops_row(rl, budget)]
    step, last = int(row["step"]), int(rl["step"].iloc[-1])
    if row["flops"] < budget:
        return f"RL alone ends before that, at {row['flops']:.2e} after {last} steps"
    return f"RL alone has spent them at step {step} of {last}"


@described
def pass_against_flops(summaries: Results, costs: Costs) -> Drawing:
    """Held-out pass@1 over the FLOPs spent after the base, one panel per student."""
    names = evaluated_students(summaries)
    figure = drawing.empty(4.6 * len(names), 3.7)
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False).ravel()
    for panel, name in zip(panels, names, strict=True):
        mine, path = of_student(name), "reasoning/pass@1"
        if base := summaries.get(mine["base"]):
            panel.axhline(base[path].value, color="#6b7280", linestyle=":", label=ARMS["base"])
        found = {
            arm: (costs[mine[arm]]["flops"], summaries[mine[arm]][path])
            for arm in WAYS
            if mine[arm] in summaries
        }
        for way in (("distilled", "distilled_rl"), ("rl_equal_flops", "rl")):
            there = [(x, estimate.value) for x, estimate in (found[a] for a in way if a in found)]
            colour, _ = WAYS[way[0]]
            panel.plot(*np.reshape(there, (-1, 2)).T, color=colour, linewidth=1.0, linestyle="--")
        for arm, (flops, estimate) in found.items():
            drawing.bars(panel, {flops: estimate}, *WAYS[arm], ARMS[arm])
        panel.set(title=STUDENTS[name], xlabel="FLOPs after the base", xscale="log")
        panel.set_ylabel("pass@1, held-out problems" if panel is panels[0] else "")
        drawing.percent(panel)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=7.8
    )
    return figure


def chain_pairs(changes: Results) -> list[tuple[str, str]]:
    """The measured (previous stage, stage) pairs of the chain."""
    return [pair for pair in pairwise(CHAIN) if key(*pair) in changes]


ENOUGH = 50
"""Fewest items of a coloured cell: an interval over fewer is itself uncertain."""


@described
def changes_by_stage(changes: Results) -> Drawing:
    """The change of each stage against the previous one: a row per stage, a column per suite.

    Percentage points with 95 % intervals; cells of ENOUGH items whose interval excludes zero are
    coloured.
    """
    stages = chain_pairs(changes)
    paths = [path for path in drawing.SUITES if any(path in changes[key(*pair)] for pair in stages)]
    cells = [[changes[key(*pair)].get(path) for path in paths] for pair in stages]
    largest = max((abs(c.value) for row in cells for c in row if c and _clear(c)), default=1.0)
    figure = drawing.empty(0.6 + 0.93 * len(paths), 1.0 + 0.62 * len(stages))
    axes = figure.subplots()
    axes.set(xlim=(-0.5, len(paths) - 0.5), ylim=(len(stages) - 0.5, -0.5))
    for y, row in enumerate(cells):
        for x, found in enumerate(row):
            _change_cell(axes, x, y, found, largest)
    axes.set_xticks(range(len(paths)), [drawing.SUITES[path] for path in paths])
    names = [f"{label_of(after)}\nagainst {label_of(before)}" for before, after in stages]
    axes.set_yticks(range(len(stages)), names)
    axes.tick_params(length=0, labelcolor=INK, labelsize=9.5)
    axes.xaxis.tick_top()
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return figure


def _clear(change: Estimate) -> bool:
    return change.n >= ENOUGH and (change.low > 0 or change.high < 0)


def _change_cell(axes: Axes, x: int, y: int, found: Estimate | None, largest: float) -> None:
    clear, colour = found is not None and _clear(found), drawing.PALE
    if found is not None and clear:
        ramp = LinearSegmentedColormap.from_list("change", [VERMILION, "#ffffff", BLUE])
        # at most 0.75 of the ramp, on which dark text can be read
        colour = to_hex(ramp(0.5 + 0.375 * found.value / largest))
    axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=colour))
    if found is None or math.isnan(found.value):
        axes.text(x, y, "–", ha="center", va="center", color=GREY)
        return
    value, _, between = metrics.shown(found, "pass@1", signed=True).partition("\u00a0points ")
    between = between.partition(", n =")[0]  # no room for it; the table has it
    ink = INK if clear else "#5b6169"
    weight = "bold" if clear else "normal"
    axes.text(x, y - 0.13, value, ha="center", va="center", color=ink, fontsize=9, weight=weight)
    axes.text(x, y + 0.2, between, ha="center", va="center", color=ink, fontsize=7)
