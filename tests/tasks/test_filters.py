"""Each filter on samples that it must drop and samples that it must keep."""

import pytest

from r1repro.tasks import filters
from r1repro.tasks.problem import Problem

EN = Problem("arithmetic:5+7-4", "arithmetic", "en", 2, "Compute 5+7-4.", "8")
ZH = Problem("arithmetic:5+7-4", "arithmetic", "zh", 2, "计算5+7-4。", "8")


def _think(text):
    return f"<think>{text}</think><answer>8</answer>"


@pytest.mark.parametrize(
    ("problem", "thinking", "one", "asked"),
    [
        (EN, "then 5+7=12\nso 12-4=8", True, True),
        (EN, "5+7=12\n12-4=8", True, True),
        (EN, "then 5+7=12\n然后12-4=8", False, False),
        (EN, "then so now 5+7=12，对", False, False),
        (EN, "首先5+7=12\n然后12-4=8", True, False),
        (ZH, "首先5+7=12\n然后12-4=8", True, True),
        (ZH, "first 5+7=12", True, False),
    ],
)
def test_language(problem, thinking, one, asked):
    assert filters.in_one_language(_think(thinking)) is one
    assert filters.unmixed(problem, _think(thinking)) is asked


def test_the_summary_counts_for_purity():
    assert not filters.unmixed(EN, "<think>5+7=12</think>所以<answer>8</answer>")


def test_repetition():
    attempt = "5+7=12\n12-4=8\n9-8=1, no\n"
    assert filters.without_repetition(_think(attempt + "7-5=2\n2+4=6\n9-6=3, no"))
    assert not filters.without_repetition(_think(attempt * 5))


def test_long_paragraphs():
    assert filters.without_long_paragraphs(_think("5+7=12\n" * 400))
    assert filters.without_long_paragraphs(_think("5+7=12 and " * 90))
    assert not filters.without_long_paragraphs(_think("5+7=12 and " * 100))
    long = "x = " + " + ".join(["12"] * 300)
    for block in (
        "\\[\n{}\n\\]",
        "$$\n{}\n$$",
        "\\begin{{align}}\n{}\n\\end{{align}}",
        "\\[{}\\].",
    ):
        assert filters.without_long_paragraphs(_think("So\n" + block.format(long)))
    assert not filters.without_long_paragraphs(_think("\\[\n" + long)), "never closed"


@pytest.mark.parametrize(
    "block",
    ["```python\n{}\n```", "```{}```", "  ~~~\n{}\n~~~", "```\n{}", "<pre>{}</pre>",
     "<code>\n{}", "\\begin{{verbatim}}\n{}\n\\end{{verbatim}}", "\\begin{{lstlisting}}[x]{}"],
)  # fmt: skip
def test_code_blocks(block):
    code = block.format("print(5+7-4)")
    assert not filters.without_code_blocks(_think(f"then 5+7=12\n{code}\n12-4=8"))
    # What is said after the thinking may hold code.
    assert filters.without_code_blocks(f"<think>5+7=12</think>{code}<answer>8</answer>")


def test_what_is_no_code_block():
    for text in (
        "`x` is 12",
        "5 ~~~ 7",
        "\\begin{align}5+7\\end{align}",
        "a < pre > b",
        "code: 12",
    ):
        assert filters.without_code_blocks(_think(f"then {text}\nso 12-4=8")), text


def test_near_duplicates_differ_in_words_only():
    one = filters.near_duplicate_key("<think>then 5+7=12\n12-4=8</think>")
    assert one == filters.near_duplicate_key("<think>so 5+7=12\n12-4=8</think>")
    assert one != filters.near_duplicate_key("<think>then 5+7=12\n12-5=7</think>")


def test_contamination_by_ten_words_in_a_row():
    held = [Problem("x", "arithmetic", "en", 4, "Compute 8+12-11-1-6.", "2")]
    asked = ["Compute 3+12-11-1-6.", "What is 1+1?", "What is 1+1?"]
    texts = ["2", "first Compute 8 + 12 - 11 - 1 - 6, then", "8+12-11-1 is not whole"]
    assert filters.contaminated(asked, texts, held) == [False, True, False]
    assert filters.contaminated(["compute 8+12-11-1-6"], [""], held) == [True]


def test_contamination_of_short_questions_is_asking_the_same():
    held = [Problem("x", "greeting", "en", 1, "Hello!", "Hello! How can I help you?")]
    asked, texts = ["Hello!", "Good morning!"], ["Hi", "Hello! How can I help you?"]
    assert filters.contaminated(asked, texts, held) == [True, False]
    zh = [Problem("y", "fact", "zh", 1, "法国的首都是哪里？", "巴黎")]
    assert filters.contaminated(["法国的首都是哪里？", "日本的首都是哪里？"], ["", ""], zh) == [
        True,
        False,
    ]
