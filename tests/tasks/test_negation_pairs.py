"""Sentences and questions with and without "not"."""

from r1repro.tasks import negation_pairs
from r1repro.tasks.general import WORDS


def _of(form):
    return [pair for pair in negation_pairs.sample() if pair.asked.task == form]


def test_the_liked_animals_are_others_than_the_disliked():
    pairs = _of(negation_pairs.LIKING)
    asked = [(p.asked.prompt, p.right, p.twin.prompt, p.twin_right) for p in pairs]
    assert ("I do not like", "cat", "I like", "lion") in asked
    assert ("我不喜欢", "猫", "我喜欢", "狮子") in asked
    assert len(asked) == len(set(asked)) == 9 * 4 * 2
    assert not {p.right for p in pairs} & {p.twin_right for p in pairs}


def test_a_question_and_its_negation_name_the_same_two_words():
    pairs = _of(negation_pairs.KIND)
    asked = [(p.asked.prompt, p.right, p.twin.prompt, p.twin_right) for p in pairs]
    for order in ("cat or apple", "apple or cat"):
        one = (f"Which is not an animal, {order}?", "apple", f"Which is an animal, {order}?", "cat")
        assert one in asked
    assert ("哪个不是动物，猫还是苹果？", "苹果", "哪个是动物，猫还是苹果？", "猫") in asked
    assert len(asked) == len(set(asked)) == 18 * 2 * 2
    animals = {word for words in WORDS[: WORDS.index(["apple", "苹果"])] for word in words}
    assert not animals & {p.right for p in pairs} and animals == {p.twin_right for p in pairs}


def test_the_wrong_answer_is_right_without_the_negation():
    assert all(p.wrong == p.guess == p.twin_right for p in negation_pairs.sample())


def test_a_word_and_its_translation_are_one():
    found = {(p.right, negation_pairs.word_of(p)) for p in negation_pairs.sample()}
    assert ("cat", 0) in found and ("猫", 0) in found and len({at for _, at in found}) == 9 + 18
    prompts = {negation_pairs.greeting(p).prompt for p in negation_pairs.sample()}
    assert prompts == {"Hello", "你好"}
