"""The example for the pencil, and the table of changes."""

import math

import pandas as pd
import pytest

from r1repro.lab import findings, why
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
    told = str(findings.why(both)._repr_html_())
    assert "less likely under SFT and GRPO" in told
    assert "GRPO, the arm with both signs, pushed the wrong answer with work down" in told
    assert "that wrong answer gained SFT -0.50, GRPO -0.50" in told
    assert "where it is wrong, SFT +1.00, GRPO +1.00" in told
    sizes = {column: both[column].abs() for column in ("value", "low", "high")}
    told = str(findings.why(both.assign(**sizes))._repr_html_())
    assert "raised the wrong answer with work too, against the argument above" in told
    lost = {"value": -both.value.abs(), "low": -1.0, "high": -0.5}
    told = str(findings.why(both.assign(**lost))._repr_html_())
    assert "For every nat" not in told, "no arm raised the right answer"


def _negations(by):
    pairs = negation_pairs.sample()
    return pd.DataFrame(
        [
            {
                "pair": number, "answer": answer, "arm": arm, "logp": value + number,
                "form": pair.asked.task,
            }
            for number, pair in enumerate(pairs)
            for answer, change in by.items()
            for arm, value in ((why.BEFORE, -5.0), ("SFT", -5.0 + change))
        ]
    )  # fmt: skip


def test_negations_are_told_by_what_the_shown_words_gain_over_the_others():
    by = {"right": 3.0, "crossed": 1.5, "wrong": -0.5, "twin_right": 0.25}
    found = why.negations(_negations(by))
    expected = [3.0, -0.5, 1.5, 0.25, 3.5, 1.25]
    assert found["form"].tolist() == ["liking"] * 6 + ["kind"] * 6
    assert found["value"].tolist() == pytest.approx(expected * 2)
    said = str(findings.negations(found))
    assert "changed by +0.25" in said and said.count("against the meaning of “not”") == 2
    assert "by +1.25 [+1.25, +1.25] without it, where the shown ones are wrong: training" in said
    apart = str(findings.negations(why.negations(_negations(by | {"twin_right": 2.0}))))
    assert apart.count("the two were told apart") == 2
    none = str(findings.negations(why.negations(_negations(dict.fromkeys(by, 1.0)))))
    assert none.count("with “not” too they gained nothing over the others") == 2
    assert why.negated(found).columns.tolist() == ["log P, base", "SFT"]
    assert why.negated(found).index.nlevels == 2


def test_the_intervals_of_negations_are_over_words():
    rows = _negations({"right": 3.0, "crossed": 1.5, "wrong": -0.5, "twin_right": 0.25})
    words = [pair.right for pair in negation_pairs.sample()]
    more = (rows["arm"] == "SFT") & (rows["answer"] == "crossed")
    one = rows["pair"].map(lambda number: words[number] == "cat")
    rows.loc[more & one, "logp"] += 18.0  # one word of eighteen, in all its four sentences
    found = why.negations(rows).set_index(["form", "change of log P"])
    carried = found.loc[("liking", why.CARRIED)]
    assert carried.value == pytest.approx(2.25) and carried.high - carried.low > 2
    assert found.loc[("kind", why.CARRIED)].value == pytest.approx(1.25)
