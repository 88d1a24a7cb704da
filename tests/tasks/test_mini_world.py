"""The mini world: disjoint splits, right answers, determinism."""

import hashlib
import itertools
import random
import re
from collections import Counter

import pytest

from r1repro.errors import R1ReproError
from r1repro.rewards.accuracy import matches
from r1repro.tasks import arithmetic, corpus, countdown, general, mini_world, templates
from r1repro.tasks.expression import evaluate
from r1repro.tasks.problem import GENERAL


@pytest.fixture(scope="module")
def world():
    return mini_world.build(0, 200, 1000)


@pytest.fixture(scope="module")
def hard():
    """With the three levels beyond the usual ones."""
    return mini_world.build(0, 160, 640, 8)


def test_splits_are_disjoint_by_canonical_form(world):
    train = {p.id for p in itertools.islice(world.train(0), 5_000)}
    validation, test = {p.id for p in world.validation}, {p.id for p in world.test}
    general = {p.id for p in world.general_test}
    assert len(validation) == 200 and len(test) == 1000, "a canonical form stands once in a split"
    assert not (train & test or train & validation or test & validation or general & train)
    trained = {f"{item.task}:{item.canonical}" for item in world.general_train}
    tried = {p.id for p in world.general_validation}
    assert tried and not general & tried and not (general | tried) & trained
    assert len({(p.id, p.language) for p in world.general_test}) == len(world.general_test) > 1_000


def test_canonical_forms_ignore_language_phrase_and_order():
    one = countdown.Numbers((3, 5, 7), 1, "+-", 1)
    other = countdown.Numbers((7, 3, 5), 1, "+-", 2)
    assert countdown.canonical(one) == countdown.canonical(other) == "3,5,7=1"


@pytest.mark.parametrize("name", ["world", "hard"])
def test_the_corpus_asks_no_held_out_problem(name, request):
    """Read back from the text itself, not from the ids the generator used.

    Left out by their shape are drills, pages on which every line is a sum with its result: they
    are tables and ask nothing, so they may hold the sum of a level-1 problem.
    """
    world = request.getfixturevalue(name)
    found: Counter[str] = Counter()
    for document in itertools.islice(corpus.documents(world, 1), 5_000):
        lines = document.split("\n")
        if all(re.fullmatch(r"\d+[-+*]\d+=\d+", line) for line in lines):
            continue
        asked = _asked(lines[0])
        assert asked not in world.held_out, document
        found[asked.split(":")[0]] += 1
    assert found["arithmetic"] > 500 and found["countdown"] > 500, found
    assert sum(found[task] for task in GENERAL) > 100, found


def test_what_a_line_asks_is_recognised_in_every_form(world):
    """Or the test above could not fail."""
    rng = random.Random(0)
    problems = list(world.held_out_problems)
    for language in mini_world.LANGUAGES:
        for level in (1, 5, 8):
            for _ in range(20):  # in either language, and in both phrases of it
                chain, numbers = arithmetic.sample(rng, level), countdown.sample(rng, level)
                problems.append(arithmetic.problem(rng, chain, language))
                problems.append(countdown.problem(rng, numbers, language))
    for problem in problems:
        for text in (problem.prompt, templates.render("mini", problem)):
            assert _asked(text.split("\n")[0]) == problem.id


def _asked(line: str) -> str:
    """The id of the problem that a line asks, in whatever words; "" where it asks none."""
    if found := re.search(r"((?:\d+,)+\d+)\D+(\d+)", line):
        given = sorted(map(int, found[1].split(",")))
        return "countdown:" + ",".join(map(str, given)) + f"={found[2]}"
    if chain := re.search(r"\d+(?:[-+]\d+)+", line):
        return f"arithmetic:{chain[0]}"
    question = re.sub(r"^(User: |用户：)|\s*<think>.*", "", line)
    return _GENERAL.get(question, "")


_GENERAL = {item.prompt: general.problem(item).id for item in general.items()}


@pytest.mark.parametrize(
    ("validation", "test", "key"), [(20, 450, "test"), (450, 20, "validation")]
)
def test_more_problems_than_there_are(monkeypatch, validation, test, key):
    monkeypatch.setattr(mini_world, "FAMILIES", {"arithmetic": arithmetic})
    with pytest.raises(R1ReproError) as refused:
        mini_world.build.__wrapped__(0, validation, test, 1)
    for part in (f"task.{key}_problems=450", "arithmetic of level 1", "414 problems", "lower"):
        assert part in str(refused.value)


def test_test_split_is_balanced(world):
    cells = [(p.task, p.level, p.language) for p in world.test]
    counts = {cell: cells.count(cell) for cell in set(cells)}
    assert len(counts) == 20 and set(counts.values()) == {50}


@pytest.mark.parametrize("name", ["world", "hard"])
def test_gold_answers_are_right(name, request):
    for problem in request.getfixturevalue(name).test:
        if problem.task == "arithmetic":
            value, _ = evaluate(problem.id.split(":")[1])
            assert matches(problem, str(value))
            assert not matches(problem, str(value + 1))
        else:
            numbers, target = problem.answer.split("=")
            tuple_ = tuple(map(int, numbers.split(",")))
            found = [t for t in countdown.trials(tuple_, "+-*") if t.value == int(target)]
            assert found and all(matches(problem, t.expression) for t in found)


@pytest.mark.parametrize("numbers", [(9, 4, 7), (9, 4, 7, 12)])
def test_trials_state_what_their_expression_is_worth(numbers):
    found = countdown.trials(numbers, "+-*")
    assert len({trial.expression for trial in found}) == len(found)
    for trial in found:
        value, used = evaluate(trial.expression)
        assert value == trial.value and sorted(used) == sorted(numbers)
        assert all(0 <= step[3] <= countdown.MAX_VALUE for step in trial.steps)
        carried = zip(trial.steps, trial.steps[1:], trial.on_left, strict=False)
        assert all(before[3] == step[0 if left else 2] for before, step, left in carried)


def test_harder_levels_are_drawn_alike_for_every_split(hard):
    cells = Counter((p.task, p.level, p.language) for p in hard.test)
    assert set(cells.values()) == {20} and {level for _, level, _ in cells} == set(range(1, 9))
    trained = list(itertools.islice(hard.train(0), 2_000))
    assert not {p.id for p in trained} & hard.held_out
    assert {p.level for p in trained} == {p.level for p in hard.validation} == set(range(1, 9))
    for problem in (*hard.test, *trained):
        size = len(re.findall(r"\d+", problem.id))
        if problem.task == "arithmetic":
            assert size == problem.level + 1
        else:
            assert size == (5 if problem.level > 5 else 4)


def test_the_corpus_covers_the_numbers_of_the_harder_levels(hard):
    """As results of whole lines, which tables and worked answers hold alike."""
    documents = list(itertools.islice(corpus.documents(hard, 0), 6_000))
    results = {int(n) for d in documents for n in re.findall(r"=(\d+)$", d, re.M)}
    assert len(results & set(range(300))) > 290
    assert any("((" in document for document in documents), "no search over four numbers"


def test_what_todays_levels_draw_stays_what_it_was(world):
    """A base's key does not know the generator: where this changes, versions must go up."""
    drawn = [*itertools.islice(corpus.documents(world, 0), 500)]
    drawn += [p.prompt for p in (*world.test, *itertools.islice(world.train(0), 500))]
    assert hashlib.sha256("\0".join(drawn).encode()).hexdigest()[:16] == "25de516f21b798fc"


def test_chains_stay_in_range():
    rng = random.Random(0)
    for level, (_, _, largest) in arithmetic.RANGES.items():
        for _ in range(300):
            chain = arithmetic.sample(rng, level)
            assert len(chain.operations) == level
            assert all(0 <= step[3] <= largest for step in chain.steps)


def test_same_seed_same_world_and_corpus(world):
    mini_world.build.cache_clear()
    again = mini_world.build(0, 200, 1000)
    assert again.test == world.test and again.validation == world.validation
    one = list(itertools.islice(corpus.documents(world, 3), 200))
    assert one == list(itertools.islice(corpus.documents(again, 3), 200))
    assert one != list(itertools.islice(corpus.documents(again, 4), 200))


def test_the_corpus_is_messy(world):
    """Every behaviour that later stages speak of happens sometimes, none of them mostly."""
    documents = list(itertools.islice(corpus.documents(world, 0), 4_000))
    share = lambda *words: sum(any(w in d for w in words) for d in documents) / len(documents)  # noqa: E731
    assert 0.05 < share("</answer>\n", "</answer>") < 0.9
    assert 0.002 < share("wait", "等等") < 0.2
    tagged = sum(d.rstrip().endswith("</answer>") for d in documents) / len(documents)
    assert 0.05 < tagged < 0.25


def test_authors_check_an_attempt_against_the_target_and_stop_after_their_patience(world):
    """A verdict follows from the difference before it; what is wrong in the corpus is elsewhere."""
    searched = checked = 0
    for document in itertools.islice(corpus.documents(world, 2), 5_000):
        verdicts = re.findall(r"^(\d+)-(\d+)=(\d+)(?:, |，)(yes|no|对|不对)$", document, re.M)
        for left, right, difference, verdict in verdicts:
            assert int(left) - int(right) == int(difference)
            assert (verdict in ("yes", "对")) == (int(difference) == 0)
        checked += len(verdicts)
        searched += bool(verdicts)
        assert len(verdicts) <= corpus.MESS.patience
    assert checked > searched > 200, "most searches make more than one attempt"


def test_some_chains_trail_off_and_drills_are_right(world):
    trailed = 0
    for document in itertools.islice(corpus.documents(world, 3), 5_000):
        lines = document.split("\n")
        trailed += any(line.endswith(("and so on", "...", "如此类推", "……")) for line in lines)
        if all(re.fullmatch(r"\d+[-+*]\d+=\d+", line) for line in lines) and len(lines) == 8:
            for line in lines:
                expression, value = line.split("=")
                assert evaluate(expression)[0] == int(value)
    assert 0 < trailed < 500
