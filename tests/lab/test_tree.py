import pytest
import torch

from r1repro.lab import tree
from r1repro.lab.tree import Tree


def test_probabilities_by_hand():
    """The first token is "a" with 0.6, and after it the end comes with 1/4."""
    small = Tree(("a.", "ab", "b"))
    logits = small.logits(lambda context: {"": {"a": 0.6}, "a": {".": 0.25}}[context])
    assert small.probabilities(logits).tolist() == pytest.approx([0.15, 0.45, 0.4])
    assert small.contexts == ["", "a"] and small.lengths_S.tolist() == [2, 2, 1]
    assert small.through(small.probabilities(logits)).tolist() == pytest.approx([1, 0.6])
    assert tree.mean_length(small, logits).item() == pytest.approx(1.6)
    among = torch.tensor([True, False, True])
    assert tree.mean_length(small, logits, among).item() == pytest.approx((0.3 + 0.4) / 0.55)
    logps = small.logps(logits)
    assert logps[2].tolist() == pytest.approx([torch.tensor(0.4).log().item(), 0])


def test_all_texts_are_listed_once():
    small = tree.words("ab", cap=3)
    assert len(small.completions) == len(set(small.completions)) == 1 + 2 + 4 + 8
    logits = small.logits(lambda context: {".": 0.25})
    assert small.probabilities(logits).sum().item() == pytest.approx(1)
    assert tree.mean_length(small, logits).item() == pytest.approx(1 + 0.75 + 0.75**2)


def test_a_mean_over_all_tokens_is_no_expectation():
    with pytest.raises(ValueError, match="not of 'tokens'"):
        tree.expectation(tree.words("ab", 2), torch.full((7,), 1 / 7), "tokens")


def test_what_is_no_policy_is_refused():
    with pytest.raises(ValueError, match="'a' begins 'ab'"):
        Tree(("ab", "a"))
    with pytest.raises(ValueError, match="after '' sum to 0.5"):
        Tree(("a", "b")).logits(lambda context: {"a": 0.2, "b": 0.3})
