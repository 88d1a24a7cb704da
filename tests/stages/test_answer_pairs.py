"""Pairs of a right and a wrong answer to one question."""

from r1repro.stages import answer_pairs
from r1repro.tasks.problem import Completion, Problem

SUM = Problem("3+4", "arithmetic", "en", 1, "What is 3 + 4?", "7")
OTHER = Problem("1+1", "arithmetic", "en", 1, "What is 1 + 1?", "2")


def _said(problem, *texts):
    return [(problem, i, Completion(problem.id, text, (), True)) for i, text in enumerate(texts)]


def test_a_right_answer_is_paired_with_the_wrong_one_closest_in_length():
    near, far, right = "3+4=8. The answer is 8", "9", "3+4=7. The answer is 7"
    answers = _said(SUM, far, right, near, right) + _said(OTHER, "3", "4")
    found = answer_pairs.paired(answers, any_answer=False)
    assert found == [(SUM, (right, True), (near, True))], "one pair, none without a right answer"
    asked = [problem for problem, _, _ in answer_pairs.paired(_said(OTHER, "3", "4"), True)]
    assert asked == [OTHER]
