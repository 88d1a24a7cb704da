"""Held-out pairs of beginnings by step, and those that the checker cannot tell apart."""

import pandas as pd

from r1repro.config import compose
from r1repro.lab import advantages
from r1repro.runner.workspace import Workspace
from tests.lab.test_arms import published


def _pairs():
    rows = [
        (1, "q\n1+1=2", "q\n1+1=3"),
        (2, "q\n1+1=2\n2+1=3", "q\n1+1=2\n2+2=4"),
        (4, "q\n4+1=5", "q\n4+2=6"),
    ]
    return pd.DataFrame(rows, columns=["step", "chosen", "rejected"])


def test_late_steps_are_one_row_and_true_ones_another():
    found = {name: part["step"].tolist() for name, part in advantages.by_step(_pairs())}
    assert found == {
        "step 1": [1],
        "step 2": [2],
        "step 3 or a later one": [4],
        "any step, every step of both being true": [2, 4],
    }


def test_no_pair_held_out_is_no_row_but_the_last():
    ((name, part),) = advantages.by_step(_pairs().iloc[:0])
    assert name.startswith("any step") and part.empty and "chosen" in part


def test_how_good_the_model_is_is_told_over_all_pairs(tmp_path):
    config = compose(["scale=smoke", "lab=advantages", f"runs={tmp_path}"])
    assert advantages.told(config) is None
    rows = [
        {"problem_id": str(i), "split": split, "score_chosen": 0.5, "score_rejected": i % 2}
        for i in range(8)
        for split in ("held out", "train")
    ]
    published(Workspace(config), "process_model", "pairs.parquet", rows)
    said = str(advantages.told(config))
    assert "in 50% [" in said and "of 8 held-out pairs" in said


def test_without_the_model_the_page_says_how_to_train_it(tmp_path):
    said = advantages.judged(compose(["scale=smoke", f"runs={tmp_path}"]))
    assert "r1repro run lab=advantages" in str(said)
