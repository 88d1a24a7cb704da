"""The mini world: disjoint splits, correct answers, determinism."""

import hashlib
import itertools
import math
import random
import re
from collections import Counter

import pytest

from r1repro.errors import R1ReproError
from r1repro.rewards.correctness import matches
from r1repro.tasks import arithmetic, corpus, countdown, general, mini_world, templates
from r1repro.tasks.countdown import evaluate
from r1repro.tasks.held_out import HeldOut, numbers_of, solutions, true_sums
from r1repro.tasks.problem import GENERAL, Problem
from r1repro.text.tags import END


@pytest.fixture(scope="module")
def world():
    return mini_world.build(0, 200, 1000)


@pytest.fixture(scope="module")
def hard():
    """The world with levels 6 to 8."""
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
    asked = [(numbers, language) for numbers in (one, other) for language in ("en", "zh")]
    ids = {countdown.problem(random.Random(0), *either).id for either in asked}
    assert ids == {"countdown:3,5,7=1"}


@pytest.mark.parametrize("name", ["world", "hard"])
def test_the_corpus_asks_no_held_out_problem(name, request):
    """Checks the text itself, not the generator's ids.

    Drills (pages where every line is an equation with its result) are excluded: they ask nothing
    and may contain the sum of a level-1 problem.
    """
    world = request.getfixturevalue(name)
    found: Counter[str] = Counter()
    for document in itertools.islice(corpus.documents(world, 1), 5_000):
        if all(re.fullmatch(r"\d+[-+*]\d+=\d+", line) for line in document.split("\n")):
            continue
        for question in document.split(END):
            asked = _asked(question.split("\n")[0])
            assert asked not in world.held_out, document
            found[asked.split(":")[0]] += 1
    assert found["arithmetic"] > 500 and found["countdown"] > 500, found
    assert sum(found[task] for task in GENERAL) > 100, found


@pytest.mark.parametrize("name", ["world", "hard"])
def test_a_set_of_numbers_is_held_out_whole(name, request):
    """At most one target per number set is asked, in evaluations only."""
    world = request.getfixturevalue(name)
    held = [numbers_of(p) for p in (*world.validation, *world.test) if p.task == "countdown"]
    assert len(held) == len(set(held)) == len(world.kept_out.sets) > 300
    for problem in itertools.islice(world.train(0), 5_000):
        assert problem.task != "countdown" or numbers_of(problem) not in held
    for document in itertools.islice(corpus.documents(world, 4), 5_000):
        for question in document.split(END):
            asked = _asked(question.split("\n")[0])
            assert asked.partition(":")[2].partition("=")[0] not in held, document


def test_every_level_of_countdown_has_thousands_of_sets():
    for largest, _, count in countdown.RANGES.values():
        assert math.comb(largest, count) >= 2_000


@pytest.mark.parametrize("name", ["world", "hard"])
def test_no_document_holds_a_held_out_solution(name, request):
    """Independent check of each document's equations against all held-out solutions."""
    world = request.getfixturevalue(name)
    solved: dict[frozenset[str], str] = {}
    for problem in (*world.validation, *world.test):
        if problem.task == "arithmetic":
            value, lines = 0, []
            for op, number in re.findall(r"([-+]?)(\d+)", problem.id.partition(":")[2]):
                before, value = value, value - int(number) if op == "-" else value + int(number)
                lines.append(_sum(before, op, int(number), value))
            solved[frozenset(lines[1:])] = problem.id
        else:
            numbers, target = problem.answer.split("=")
            for trial in countdown.trials(tuple(map(int, numbers.split(","))), "+-*"):
                if trial.value == int(target):
                    solved[frozenset(_sum(*step) for step in trial.steps)] = problem.id
    assert len(solved) > 1_000
    for document in itertools.islice(corpus.documents(world, 1), 4_000):
        sums = re.findall(r"(?<!\d)(\d+)([-+*])(\d+)=(\d+)", document)
        sums = {_sum(int(a), op, int(b), int(c)) for a, op, b, c in sums}
        if len(sums) > 1:
            pairs = map(frozenset, itertools.combinations(sums, 2))
            assert not any(pair in solved for pair in pairs), document
            assert not any(lines <= sums for lines in solved if len(lines) > 2), document
    for problem in itertools.islice(world.train(1), 2_000):
        for lines in solutions(problem):
            assert not any(held <= lines for held in solved), problem


def _sum(left, op, right, result):
    high, low = (right, left) if op in "+*" and left < right else (left, right)
    return f"{high}{op}{low}={result}"


def test_what_solves_a_problem_is_found_in_a_text():
    chain = Problem("arithmetic:5+7-8", "arithmetic", "en", 1, "Compute 5+7-8.", "4")
    search = Problem("countdown:3,5,9=7", "countdown", "en", 1, "Use 9,3,5 to make 7.", "3,5,9=7")
    held = HeldOut((chain, search))
    assert held.solved_in("so 7+5=12\nwait, 12-8=4") and not held.solved_in("7+5=12\n12-8=5")
    assert not held.solved_in("7+5=12") and not held.solved_in("17+5=22\n112-8=104")
    assert held.solved_in("9+3=12\n12-5=7") and held.solved_in("9-5=4\nno\n4+3=7")
    assert true_sums("2+2=5\n3*4=12") == {"4*3=12"}
    twin = Problem("countdown:3,5,9=11", "countdown", "zh", 1, "用3,5,9得到11。", "3,5,9=11")
    longer = Problem("arithmetic:5+7-8+2", "arithmetic", "en", 2, "Compute 5+7-8+2.", "6")
    assert held.asked_by(twin) and held.asked_by(longer) and held.asked_by(chain)
    other = Problem("arithmetic:5+6-8", "arithmetic", "en", 1, "Compute 5+6-8.", "3")
    assert not held.asked_by(other)


def test_no_rate_depends_on_the_form(world):
    """Rates agree, up to chance, between plain and templated prompts, with and without tags.

    Covers work, abandoned work, wrong direct answers and slips.
    """
    counts: dict[tuple[str, str], list[int]] = {}
    for document in itertools.islice(corpus.documents(world, 5), 60_000):
        # Drills ask nothing.
        for question in document.split(END):
            family = _asked(question.split("\n")[0]).split(":")[0]
            if family not in ("arithmetic", "countdown") or re.match(r"\d+[-+*]\d+=", question):
                continue
            templated = question.startswith(("User:", "用户："))
            said = question.split("\n", 1)[1]
            sums = re.findall(r"(\d+)([-+*])(\d+)=(\d+)", said)
            facts = {"works": bool(sums)}
            if sums:
                facts["true"] = all(evaluate("".join(s[:3]))[0] == int(s[3]) for s in sums)
                facts["long"] = len(sums) > 4
                facts["hit"] = bool(re.search(r"yes|(?<!不)对|that is|正好", said))
            tagged = "</answer>" in said
            for form in (f"prompt {templated}", f"tags {tagged}"):
                for fact, so in facts.items():
                    found = counts.setdefault((fact, form), [0, 0])
                    found[0] += so
                    found[1] += 1
    for fact in ("works", "true", "long", "hit"):
        for form in ("prompt", "tags"):
            (a, n), (b, m) = counts[fact, f"{form} True"], counts[fact, f"{form} False"]
            share = (a + b) / (n + m)
            z = (a / n - b / m) / math.sqrt(share * (1 - share) * (1 / n + 1 / m))
            assert n > 1_000 and abs(z) < 4, (fact, form, a / n, b / m)


def test_tags_are_rare_and_rarer_under_the_prompt(world):
    documents = list(itertools.islice(corpus.documents(world, 6), 20_000))
    tagged = [d for d in documents if d.count("</answer>") > d.count("<answer></answer>")]
    under = [d for d in tagged if d.startswith(("User:", "用户："))]
    assert 0.03 < len(tagged) / len(documents) <= 0.1
    assert 0.002 < len(under) / len(documents) <= 0.01


def test_attempts_have_a_long_tail(world):
    """Most failures give up at once, some continue for long."""
    attempts: Counter[int] = Counter()
    for document in itertools.islice(corpus.documents(world, 7), 40_000):
        for question in document.split(END):
            if "countdown" in _asked(question.split("\n")[0]):
                verdicts = re.findall(
                    r"不对|不是\d|\bno$|\bnot \d|(?<!不)对$|yes$|正好\d|that is \d", question, re.M
                )
                attempts[len(verdicts)] += len(verdicts) > 0
    total = sum(attempts.values())
    at_least = lambda n: sum(c for k, c in attempts.items() if k >= n) / total  # noqa: E731
    assert at_least(2) < 0.4 and 0.03 < at_least(5) < 0.2 and at_least(10) > 0.002


def test_what_a_line_asks_is_recognised_in_every_form(world):
    """Guards the test above, which could otherwise not fail."""
    rng = random.Random(0)
    problems = list(world.held_out_problems)
    for language in mini_world.LANGUAGES:
        for level in (1, 5, 8):
            for _ in range(20):  # covers both languages and both phrasings
                chain, numbers = arithmetic.sample(rng, level), countdown.sample(rng, level)
                problems.append(arithmetic.problem(rng, chain, language))
                problems.append(countdown.problem(rng, numbers, language))
    for problem in problems:
        for text in (problem.prompt, templates.render("mini", problem)):
            assert _asked(text.split("\n")[0]) == problem.id


def _asked(line: str) -> str:
    """The id of the problem that a line asks, in any phrasing; "" if it asks none."""
    if found := re.search(r"((?:\d+,)+\d+)\D+(\d+)", line):
        given = sorted(map(int, found[1].split(",")))
        return "countdown:" + ",".join(map(str, given)) + f"={found[2]}"
    if chain := re.search(r"\d+(?:[-+]\d+)+", line):
        return f"arithmetic:{chain[0]}"
    question = re.sub(r"^(User: |用户：)|\s*<think>.*", "", line)
    return _GENERAL.get(question, "")


_GENERAL = {item.prompt: general.problem(item).id for item in general.items()}


@pytest.mark.parametrize(
    ("validation", "test", "key"), [(20, 2_100, "test"), (2_100, 20, "validation")]
)
def test_more_problems_than_there_are(monkeypatch, validation, test, key):
    monkeypatch.setattr(mini_world, "FAMILIES", {"countdown": countdown})
    with pytest.raises(R1ReproError) as refused:
        mini_world.build.__wrapped__(0, validation, test, 1)
    for part in (f"task.{key}_problems=2100", "countdown at level 1", "2024 problems", "lower"):
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
            assert size == problem.level + 2
        else:
            assert size == (5 if problem.level > 5 else 4)


def test_the_corpus_covers_the_numbers_of_the_harder_levels(hard):
    """As results of whole lines, in tables and worked answers."""
    documents = list(itertools.islice(corpus.documents(hard, 0), 6_000))
    results = {int(n) for d in documents for n in re.findall(r"=(\d+)$", d, re.M)}
    assert len(results & set(range(300))) > 290
    assert any("((" in document for document in documents), "no search over four numbers"


def test_what_todays_levels_draw_stays_what_it_was(world):
    """A base's key does not include the generator's code; if this changes, raise the versions."""
    drawn = [*itertools.islice(corpus.documents(world, 0), 500)]
    drawn += [p.prompt for p in (*world.test, *itertools.islice(world.train(0), 500))]
    assert hashlib.sha256("\0".join(drawn).encode()).hexdigest()[:16] == "229ac79e34e636d3"


def test_chains_stay_in_range():
    rng = random.Random(0)
    for level, (_, _, largest) in arithmetic.RANGES.items():
        for _ in range(300):
            chain = arithmetic.sample(rng, level)
            assert len(chain.operations) == level + 1
            assert all(0 <= step[3] <= largest for step in chain.steps)


def test_same_seed_same_world_and_corpus(world):
    mini_world.build.cache_clear()
    again = mini_world.build(0, 200, 1000)
    assert again.test == world.test and again.validation == world.validation
    one = list(itertools.islice(corpus.documents(world, 3), 200))
    assert one == list(itertools.islice(corpus.documents(again, 3), 200))
    assert one != list(itertools.islice(corpus.documents(again, 4), 200))


def test_the_corpus_is_messy(world):
    """Every behaviour that later stages build on occurs, and none dominates."""
    documents = list(itertools.islice(corpus.documents(world, 0), 4_000))
    share = lambda *words: sum(any(w in d for w in words) for d in documents) / len(documents)  # noqa: E731
    assert 0.05 < share("</answer>\n", "</answer>") < 0.9
    assert 0.002 < share("wait", "等等") < 0.2
    tagged = sum(d.rstrip().endswith("</answer>") for d in documents) / len(documents)
    assert 0.03 < tagged < 0.1


def test_authors_check_an_attempt_against_the_target_and_stop_after_their_patience(world):
    """A verdict always agrees with the difference before it; the corpus is wrong elsewhere."""
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
    assert 100 < trailed < 1_500
