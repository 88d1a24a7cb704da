"""Sentences of dislike and liking."""

from r1repro.tasks import liking_pairs


def test_a_pair_says_the_opposite_of_different_animals():
    pairs = liking_pairs.sample()
    asked = [(p.asked.prompt, p.right, p.twin.prompt, p.twin_right) for p in pairs]
    assert ("I do not like", "cat", "I like", "lion") in asked
    assert ("我不喜欢", "猫", "我喜欢", "狮子") in asked
    assert len(asked) == len(set(asked)) == 9 * 4 * 2
    assert not {p.right for p in pairs} & {p.twin_right for p in pairs}
    assert all(p.wrong == p.twin_right for p in pairs)
