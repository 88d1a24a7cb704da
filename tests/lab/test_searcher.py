import itertools

import pytest

from r1repro.lab import length


def test_every_row_is_a_mean_over_all_runs_of_the_searcher():
    """Every sequence of right and wrong candidates, listed."""
    p, cost = 0.3, 8
    found = length.by_hand(p, cost, tries=4)
    for most, row in found.iterrows():
        right = {True: [0.0, 0.0], False: [0.0, 0.0]}
        for tries in itertools.product([True, False], repeat=int(most)):
            chance = p ** sum(tries) * (1 - p) ** (most - sum(tries))
            spent = cost * (tries.index(True) + 1 if any(tries) else most)
            right[any(tries)][0] += chance
            right[any(tries)][1] += chance * spent
        assert row["pass@1"] == pytest.approx(right[True][0])
        assert row["tokens of right answers"] == pytest.approx(right[True][1] / right[True][0])
        assert row["tokens of wrong answers"] == pytest.approx(right[False][1] / right[False][0])
        assert row["budget"] == cost * most


def test_what_the_notebook_works_by_pencil():
    hard = length.by_hand(p=0.2, cost=8, tries=4)
    assert hard["pass@1"].tolist() == pytest.approx([0.2, 0.36, 0.488, 0.5904])
    assert hard.loc[2, "tokens of right answers"] == pytest.approx((0.2 * 8 + 0.16 * 16) / 0.36)
    caps = length.budgets({"easy": 0.8, "hard": 0.2}, cost=8, most=32)
    assert caps.loc[[7, 8, 15, 16, 32], "hard"].tolist() == pytest.approx(
        [0, 0.2, 0.2, 0.36, 0.5904]
    )
    assert caps.loc[[16, 32], "easy"].tolist() == pytest.approx([0.96, 0.9984])


def test_long_answers_help_everywhere_and_are_right_less_often():
    chances = {"easy": 0.8, "hard": 0.2}
    found = length.paradox(chances, long={"easy": 0.2, "hard": 0.8})
    assert found.loc["all", ["short", "long"]].tolist() == pytest.approx([0.68, 0.48])
    assert found["difference"].tolist() == pytest.approx([0.16, 0.16, -0.2])
    fair = length.paradox(chances, long={"easy": 0.5, "hard": 0.5})
    assert fair.loc["all", "difference"] == pytest.approx(0.16)
