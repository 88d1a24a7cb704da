"""The example for the pencil, and the table of changes."""

import math

import pandas as pd
import pytest

from r1repro.lab import why
from r1repro.stages import why_rl
from r1repro.tasks import negation_pairs


def test_shared_words_carry_sft_to_the_other_sentence_and_cancel_in_rl():
    found = why.by_hand()
    one, both, rl = found.iloc[1], found.iloc[2], found.iloc[3]
    assert one["P(cat | I do not like)"] == pytest.approx(1 / (1 + math.exp(-2)))
    assert one["P(cat | I like)"] == pytest.approx(1 / (1 + math.exp(-1)))
    assert rl.equals(both) and rl["w(I)"] == 0 and rl["P(cat | I like)"] == 0.5


def test_by_hand_is_the_gradient_of_the_named_losses():
    """By autograd: SFT's and the group's mean of advantage times log-probability."""
    import torch

    words = ["I", "do", "not", "like"]
    features = torch.tensor([[1.0, 1, 1, 1], [1.0, 0, 0, 1]])
    weights = torch.zeros(4, requires_grad=True)
    logp_cat = torch.nn.functional.logsigmoid(features @ weights)
    logp_fish = torch.nn.functional.logsigmoid(-(features @ weights))
    sft = torch.autograd.grad(logp_cat[0], weights, retain_graph=True)[0]
    signs = torch.tensor([1.0, -1.0])  # "cat" is right after the first sentence only
    rl = torch.autograd.grad((signs * (logp_cat - logp_fish)).sum() / 2, weights)[0]
    found = why.by_hand()[[f"w({word})" for word in words]]
    assert found.iloc[1].tolist() == sft.tolist() and found.iloc[3].tolist() == rl.tolist()


def test_changes_are_against_the_base_pair_by_pair():
    rows = [
        {"pair": pair, "answer": answer, "arm": arm, "logp": value + pair}
        for pair in range(4)
        for answer in why.SIDES
        for arm, value in (
            ("base", -3.0), ("SFT", -1.0 if answer != "wrong" else -4.0),
            ("GRPO", -2.0 if answer != "wrong" else -3.5),
        )
    ]  # fmt: skip
    both = why.changes(pd.DataFrame(rows))
    found = both[both.arm == "SFT"].set_index("change of log P")
    assert found.value[why.SIDES["right"]] == 2 and found.value[why.SIDES["wrong"]] == -1
    assert found.value["margin, question trained on"] == 3
    assert found.low[why.SIDES["right"]] == found.high[why.SIDES["right"]] == 2
    told = str(why.findings(both)._repr_html_())
    assert "less likely under SFT and GRPO" in told
    assert "GRPO, the arm with both signs, pushed the wrong answer with work down" in told
    assert "that wrong answer gained SFT -0.50, GRPO -0.50" in told
    assert "where it is wrong, SFT +1.00, GRPO +1.00" in told
    sizes = {column: both[column].abs() for column in ("value", "low", "high")}
    told = str(why.findings(both.assign(**sizes))._repr_html_())
    assert "raised the wrong answer with work too, against the argument above" in told
    lost = {"value": -both.value.abs(), "low": -1.0, "high": -0.5}
    told = str(why.findings(both.assign(**lost))._repr_html_())
    assert "For every nat" not in told, "no arm raised the right answer"


BY = {
    "shown": 3.0, "other": -0.5, "shown, without": 1.5, "other, without": 0.25,
    "shown, greeting": 1.0, "other, greeting": 0.5,
}  # fmt: skip


def _negations(by):
    rows = []
    for form in why.FORMS:
        pairs = [pair for pair in negation_pairs.sample() if pair.asked.task == form]
        rows += [
            {"pair": pair, "answer": answer, "arm": arm, "form": form, "logp": change + pair}
            for pair in range(len(pairs))
            for answer, change in by.items()
            for arm, change in ((why.BEFORE, 0.0), (why_rl.NEGATED, change), (why_rl.BOTH, -1.0))
        ]
    return pd.DataFrame(rows)


def test_negations_are_told_by_what_the_shown_words_gain_over_the_others():
    found = why.negations(_negations(BY))
    one = found[(found.form == "kind") & (found.arm == why_rl.NEGATED)]
    assert one["value"].tolist() == pytest.approx([3.0, 1.5, 1.0, 3.5, 1.25, 0.5, 2.25, 0.75])
    said = str(why.findings_of_negations(found))
    assert said.count("+1.25 [+1.25, +1.25] without it, where they are wrong") == 2
    assert "gained +2.25 [+2.25, +2.25] more than without" in said
    assert "Of the gain without “not”, +0.75 [+0.75, +0.75] is due to likeness" in said
    assert "both they gained +0.00 [+0.00, +0.00] with" in said
    table = why.negated(found)
    assert table.columns.tolist() == [why_rl.NEGATED, why_rl.BOTH]
    assert table.index.nlevels == 2 and len(table) == 2 * 8


def test_no_difference_is_told_as_none():
    alike = str(why.findings_of_negations(why.negations(_negations(dict.fromkeys(BY, 1.0)))))
    assert alike.count("The two sides were not told apart (difference +0.00") == 2
    assert alike.count("is not told apart from the greeting’s (+0.00") == 2
    more = str(why.findings_of_negations(why.negations(_negations(BY | {"shown, greeting": 2.0}))))
    assert "gained less than after the greeting (-0.25" in more


def test_the_intervals_of_negations_are_over_words_with_their_translations():
    rows = _negations(BY)
    pairs = [pair for pair in negation_pairs.sample() if pair.asked.task == "liking"]
    cats = [number for number, pair in enumerate(pairs) if pair.right in ("cat", "猫")]
    more = (rows["arm"] == why_rl.NEGATED) & (rows["answer"] == "shown, without")
    rows.loc[more & (rows["form"] == "liking") & rows["pair"].isin(cats), "logp"] += 9.0
    found = why.negations(rows).set_index(["form", "arm", "change of log P"])
    carried = found.loc[("liking", why_rl.NEGATED, why.CARRIED)]
    assert carried.value == pytest.approx(2.25) and carried.high - carried.low > 2
    assert found.loc[("kind", why_rl.NEGATED, why.CARRIED)].value == pytest.approx(1.25)
