"""Pairs of one sign: alike but for the sign, not held out, and right or wrong as said."""

import pytest

from r1repro.rewards.correctness import is_correct
from r1repro.tasks import mini_world, sign_pairs
from r1repro.tasks.arithmetic import Chain


@pytest.fixture(scope="module")
def world():
    return mini_world.build(0, 50, 200)


def test_answers_are_right_or_wrong_as_their_names_say(world):
    pairs = sign_pairs.sample(world, 60)
    assert len({pair.asked.id for pair in pairs} | {pair.twin.id for pair in pairs}) == 120
    assert [pair.asked.language for pair in pairs[:3]] == ["en", "zh", "en"]
    for pair in pairs:
        assert is_correct(pair.asked, pair.right) and is_correct(pair.twin, pair.twin_right)
        assert not is_correct(pair.asked, pair.wrong) and not is_correct(pair.asked, pair.guess)
        assert not is_correct(pair.twin, pair.right)
        changed = [a for a, b in zip(pair.asked.prompt, pair.twin.prompt, strict=True) if a != b]
        assert len(changed) == 1 and changed[0] in "+-"
        assert pair.wrong.splitlines()[:-2] == pair.right.splitlines()[:-2]
        assert pair.wrong.splitlines()[-1] == pair.guess


def test_no_question_of_a_pair_is_held_out(world):
    for pair in sign_pairs.sample(world, 60):
        assert not world.kept_out.asked_by(pair.asked) and not world.kept_out.asked_by(pair.twin)


def test_the_last_sign_is_turned():
    chain = Chain(9, (("+", 2), ("-", 4)))
    assert sign_pairs.turned(chain).text == "9+2+4"
    assert sign_pairs.worked(chain) == "9+2=11\n11-4=7\n7"
    assert sign_pairs.worked(chain, 8) == "9+2=11\n11-4=8\n8"
