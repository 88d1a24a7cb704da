"""What each notebook of the lab found, in words made from its results."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from r1repro.lab import kl as kl_
from r1repro.lab import why as why_
from r1repro.lab.advantages import ends
from r1repro.lab.kl import Positions
from r1repro.lab.policies import METHODS
from r1repro.reports.markup import Html, paragraphs
from r1repro.stages import why_rl

NOTHING = 1e-6
"""Largest size of what is zero but for rounding."""


def kl(positions: Positions, over: pd.DataFrame, pressure: pd.DataFrame) -> Html | None:
    """Of notebook kl_and_reference.

    over: kl.over_distance; pressure: kl.length_pressure.
    """
    mean, pull = kl_.values(positions), kl_.gradients(positions)
    size, furthest = positions.kl, over.iloc[-1]
    exact = [name for name in pull.index if pull.error[name] <= NOTHING]
    nowhere = [name for name in pull.index if pd.isna(pull.cosine[name])]
    others = [name for name in pull.index if name not in (*exact, *nowhere)]
    back = [name for name in others if pull.cosine[name] < 0]
    wrong = ", ".join(f"{name} by {pull.error[name]:.0%}" for name in others)
    wrong += f". {_listed(back).capitalize()} even pull away from the reference" if back else ""
    longer = pressure["completion"]
    k1, k3 = mean.loc["k1"], mean.loc["k3"]
    return paragraphs(
        f"{positions.told}: the exact KL is {size:.3g} nats a token. As numbers, k1 and k3 are "
        f"right on average (bias {k1.bias:+.1%} and {k3.bias:+.1%}), and k2 is off by "
        f"{mean.bias['k2']:+.0%}. A single token's k1 deviates by {k1.deviation / size:.1f} times "
        f"the KL and is below zero for {k1['below zero']:.0%} of tokens; its k3 deviates by "
        f"{k3.deviation / size:.3g} times the KL and is below zero for {k3['below zero']:.0%}. "
        f"Without the tokens whose probability is below {kl_.RARE:g} the deviations are "
        f"{k1['deviation, no rare tokens'] / size:.1f} and "
        f"{k3['deviation, no rare tokens'] / size:.1f} times the KL, and k3's mean is "
        f"{k3['mean, no rare tokens'] / size:.0%} of it.",
        f"As gradients they rank differently. On average {_listed(exact)} pull exactly like the "
        f"KL, {_listed(nowhere)} not at all, and the others are off: {wrong}. GRPO's k3 in the "
        f"loss is off by {over.iloc[0]['k3 in the loss']:.0%} at a KL of {over.iloc[0]['kl']:.2g} "
        f"and by {furthest['k3 in the loss']:.0%} at {furthest['kl']:.2g}; without those rare "
        f"tokens, by {pull.loc['k3 in the loss', 'error, no rare tokens']:.0%} at a KL "
        f"of {size:.2g}.",
        "By itself, the KL in the reward changes the mean length by "
        f"{longer['k1 in the reward']:+.3g} tokens per step and unit of β, the KL in the loss by "
        f"{_rounded(longer['k3 in the loss'])}.",
    )


def advantages(
    found: Mapping[str, pd.DataFrame], weights: pd.DataFrame, steps: pd.DataFrame
) -> Html | None:
    """Of notebook advantages: of advantages.lengths, by_difficulty and steps_by_hand."""
    after = ends(found)
    change = (after - after.loc["before"]).drop("before")[["wrong", "right"]]
    moved = (change.abs() >= NOTHING).any(axis=1)
    told = "; ".join(
        f"with {name}, wrong answers change by {row.wrong:+.1f} tokens and right ones by "
        f"{row.right:+.1f}"
        for name, row in change[moved].iterrows()
    )
    rarest, ratio = weights.index[0], weights.iloc[0]
    by_step, outcome = steps["process: sum from here on"], steps["outcome"]
    other = (by_step * outcome < 0).sum()
    return paragraphs(
        "Length is worth nothing to this policy. With "
        f"{_listed(change.index[~moved])} neither the right nor the wrong answers change their "
        f"length at all; {told}.",
        "Relative to the strongest pull of any question, one that is answered right with "
        f"probability {rarest:.0%} pulls {ratio['with the deviation']:.0%} as hard if advantages "
        f"are divided by the deviation, and {ratio['without']:.0%} if not.",
        f"In the group of {steps.index.get_level_values(0).nunique()} answers, process supervision "
        f"gives {other} of {len(steps)} steps the opposite sign to outcome supervision. Its "
        f"advantages range from {by_step.min():+.2f} to {by_step.max():+.2f}; those of the outcome "
        f"are {outcome.min():+.2f} and {outcome.max():+.2f}.",
    )


def policies(methods: pd.DataFrame, stale: Mapping[str, pd.DataFrame]) -> Html | None:
    """Of notebook on_and_off_policy: of policies.offline_and_online and on_one_rollout."""
    half = {name: methods.index[methods[name] >= 0.5] for name in METHODS}
    told = ", ".join(
        f"{f'after {when[0]} updates' if len(when) else 'never'} with {name}"
        for name, when in half.items()
    )
    first, last = methods.diff().iloc[1], methods.iloc[-1]
    fresh = stale["fresh samples"]
    ends = "; ".join(
        f"{name}, {row['accuracy']:.0%} right with {row['right answers']:.2f} right answers in "
        f"effect (fresh samples have {_at(fresh, row['accuracy']):.2f} at that accuracy) and "
        f"{row['clipped']:.0%} of the sample clipped"
        for name, row in ((n, rows.iloc[-1]) for n, rows in stale.items() if rows is not fresh)
    )
    start = fresh.iloc[0]
    return paragraphs(
        f"Accuracy reaches one half {told}. The first update raises accuracy by "
        f"{first['RFT']:.4f} with RFT, {first['Online RFT']:.4f} with Online RFT and "
        f"{first['GRPO']:.4f} with GRPO; after {methods.index[-1]} updates they are at "
        f"{last['RFT']:.0%}, {last['Online RFT']:.0%} and {last['GRPO']:.0%}.",
        f"From {start['accuracy']:.0%} and {start['right answers']:.2f} right answers in effect, "
        f"{len(fresh) - 1} updates on one sample lead to: {ends}. Fresh samples lead to "
        f"{fresh['accuracy'].iloc[-1]:.0%} right.",
    )


def _at(rows: pd.DataFrame, accuracy: float) -> float:
    """Right answers in effect where the accuracy is this one, interpolated."""
    return float(np.interp(accuracy, rows["accuracy"], rows["right answers"]))


def critics(weights: pd.DataFrame, found: pd.DataFrame, held: pd.DataFrame) -> Html | None:
    """Of notebook ppo_vs_grpo: of critics.weight_of_reward, baselines and methods."""
    longest, unbiased = weights.iloc[-1], found[found.error < NOTHING]
    fading = ", ".join(f"{share:.2g} with {name}" for name, share in longest.items())
    biased = found[found.error >= NOTHING]
    off = "; ".join(f"{critic}, {lam}: {row.error:.0%}" for (critic, lam), row in biased.iterrows())
    noise = "; ".join(
        f"{critic}, {lam}: {row.noise:.1f}" for (critic, lam), row in unbiased.iterrows()
    )
    shares = "; ".join(
        f"{name}, {row['share of PPO']:.0%}" for name, row in held.iterrows() if "GRPO" in str(name)
    )
    return paragraphs(
        f"In an answer of {weights.index[-1]:,} tokens, the share of the last token's reward that "
        f"reaches the first is {fading}, unless the critic has learned to predict it earlier.",
        "On the policy small enough to list, these gradients are right on average; their noise, in "
        f"units of the gradient: {noise}. The others are off: {off}.",
        f"GRPO's share of the bytes that PPO holds for weights, gradients and optimizer: {shares}.",
    )


def _rounded(value: float) -> str:
    return "0" if abs(value) < NOTHING else f"{value:+.3g}"


def _listed(names: Iterable[str]) -> str:
    return " and ".join(names) or "none of them"


def why(found: pd.DataFrame) -> Html | None:
    """Of notebook why_rl; found: why.changes."""
    by = found.set_index(["change of log P", "arm"])
    sides = why_.SIDES
    arms = [*found["arm"].unique()]

    def told(label: str) -> str:
        return ", ".join(
            f"{arm} {by.value[label, arm]:+.2f} [{by.low[label, arm]:+.2f}, "
            f"{by.high[label, arm]:+.2f}]"
            for arm in arms
        )

    def moving(label: str, up: bool) -> list[str]:
        ends = by.low if up else -by.high
        return [arm for arm in arms if ends[label, arm] > 0]

    wrong, guess, crossed = sides["wrong"], sides["guess"], sides["crossed"]
    across = moving(crossed, True)

    def ratios(label: str) -> str:
        gain = {arm: by.value[sides["right"], arm] for arm in arms}
        return ", ".join(
            f"{arm} {by.value[label, arm] / gain[arm]:+.2f}" for arm in arms if gain[arm] > 0
        )

    signed = why_.SIGNED
    verdict = "did not clearly move the wrong answer with work"
    if signed in moving(wrong, False):
        verdict = "pushed the wrong answer with work down, as the argument has it"
    elif signed in moving(wrong, True):
        verdict = "raised the wrong answer with work too, against the argument above"
    each = ratios(wrong)
    return paragraphs(
        f"{signed}, the arm with both signs, {verdict}.",
        f"For every nat that the right answer gained, that wrong answer gained {each}, and the "
        f"right answer after the twin question, where it is wrong, {ratios(crossed)}."
        if each
        else "",
        f"The right answer to the question trained on, in nats: {told(sides['right'])}. A wrong "
        f"one with work: {told(wrong)}; likelier under {_listed(moving(wrong, True))}, less likely "
        f"under {_listed(moving(wrong, False))}. A wrong guess without work: {told(guess)}; "
        f"likelier under {_listed(moving(guess, True))}, less likely under "
        f"{_listed(moving(guess, False))}.",
        f"The same answer after the twin question, where it is wrong: {told(crossed)}; likelier "
        f"under {_listed(across)}. The margin shows whether the two sides are separated: "
        f"{told('margin, question trained on')} on the question trained on, and "
        f"{told('margin, twin question')} on its twin, on which no arm was trained. The intervals "
        "cover pairs from one run with one seed.",
    )


def negations(found: pd.DataFrame) -> Html | None:
    """Of notebook why_rl; found: why.negations."""
    said = [_negated(why_.FORMS[form], rows) for form, rows in found.groupby("form", sort=False)]
    last = "One run with one seed; the intervals cover words, each with its translation."
    return paragraphs(*said, last)


def _negated(form: str, found: pd.DataFrame) -> str:
    rows = found.set_index(["arm", "change of log P"])

    def row(name: str, arm: str = why_rl.NEGATED) -> pd.Series:
        return rows.loc[(arm, name)]

    def told(name: str, arm: str = why_rl.NEGATED) -> str:
        one = row(name, arm)
        return f"{one.value:+.2f} [{one.low:+.2f}, {one.high:+.2f}]"

    apart, likeness = row(why_.APART), row(why_.LIKENESS)
    verdict = f"The two sides were not told apart (difference {told(why_.APART)})."
    if apart.low > 0:
        verdict = f"With “not” they gained {told(why_.APART)} more than without."
    by = f"Without “not” the gain is not told apart from the greeting’s ({told(why_.LIKENESS)})."
    if likeness.low > 0:
        by = f"Of the gain without “not”, {told(why_.LIKENESS)} is due to likeness."
    elif likeness.high < 0:
        by = f"Without “not” they gained less than after the greeting ({told(why_.LIKENESS)})."
    return (
        f"{form}: by fine-tuning on the former alone the shown words gained on the others "
        f"{told(why_.KEPT)} nats with “not”, {told(why_.CARRIED)} without it, where they are "
        f"wrong, and {told(why_.ELSEWHERE)} after a greeting, which shares no word with either. "
        f"{verdict} {by} By fine-tuning on both they gained {told(why_.KEPT, why_rl.BOTH)} with "
        f"and {told(why_.CARRIED, why_rl.BOTH)} without."
    )
