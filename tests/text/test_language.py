import json
import math
import random
import re
import time

import pytest

from r1repro.config import ROOT
from r1repro.text.language import HAN, is_mixed, language_of, language_share, words

DATA = ROOT / "tests" / "data"


@pytest.mark.parametrize(
    ("text", "english", "chinese"),
    [
        ("first add the two numbers", 1.0, 0.0),
        ("先算三加四", 0.0, 1.0),
        ("wait 等等", 1 / 3, 2 / 3),
        ("<think>先算 12 + 5 = 17</think>", 0.0, 1.0),  # tags and digits have no language
        ("因为 $x^2 + \\frac{a}{b}$ 很大", 0.0, 1.0),  # LaTeX has no language
        ("设 x 为答案", 0.0, 1.0),  # variable names have no language
        ("слово and word", 2 / 3, 0.0),  # a third script counts in the denominator
        ("costs $5 and then $6 more", 1.0, 0.0),
    ],
)
def test_share_of_each_language(text, english, chinese):
    assert language_share(text, "en") == pytest.approx(english)
    assert language_share(text, "zh") == pytest.approx(chinese)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is 3+4?", "en"),
        ("用3,5,7得到1。", "zh"),
        ("How do you say 你好 in English?", "en"),
        ("3 + 4 =", "en"),  # no words: English
    ],
)
def test_the_language_of_a_question(text, language):
    assert language_of(text) == language


@pytest.mark.parametrize("text", ["", "12 + 5 = 17", "<think></think>", "\\boxed{7}", "x = 3"])
def test_no_words_have_no_share(text):
    assert math.isnan(language_share(text, "en"))
    assert not is_mixed(text)


def test_prose_between_two_prices_is_kept():
    assert words("costs $5 and then $6 more") == ["costs", "and", "then", "more"]


def test_mixed_means_both_languages_occur():
    assert is_mixed("先算 the sum")
    assert not is_mixed("先算三加四")
    assert not is_mixed("<think>先算</think>")


def test_unknown_language_is_named():
    with pytest.raises(ValueError, match="'de'; pass 'en' or 'zh'"):
        language_share("ja", "de")


@pytest.mark.parametrize(
    "unit",
    [
        "<",
        "$a",
        "\\(",
        "\\[",
        "\ud800",
        "a",
        "但",
        "<a",
        "$ ",
        "\\text{",
        "\\begin{a",
        "[asy]",
        "```",
        "x²",
        "ab算",
    ],
)
def test_long_hostile_lines_take_no_time(unit):
    started = time.process_time()
    language_share(unit * 100_000, "en")
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    "text",
    [
        "Let α be the first angle and β the second one, so α + β = 90.",
        "The area is πr², so x² = 25 and the side is ½ of it, 25 m² in all.",
        "Write 𝑥 for the number; then 𝑥 + 3 = 7 so 𝑥 = 4 holds.",
        "We count ① red, ② green and ③ blue balls for every x ∈ ℝ, ℵ₀ of them.",
        "Naïve café owners don't re-check the façade.",
        "So ∠ABC = 30°, μ = 2 and θ = 45° as Ω is given, and αβγ = 1.",
    ],
)
def test_signs_of_variables_are_no_third_language(text):
    assert language_share(text, "en") == 1.0 and not is_mixed(text)


@pytest.mark.parametrize(
    "text",
    [
        "在△ABC中，AB=AC，点D是BC的中点，连接AD，则AD⊥BC。",
        "因为sinA=1/2，所以A=30度，cosA的值为根号3除以2，tanx也是。",
        "这根绳子长5cm，另一根长3km，重2kg，速度是12km/h。",
        "设方程组 \\begin{cases} x+y=1 \\\\ x-y=3 \\end{cases}，解得x=2。",
        "由log2(8)=3，lg100=2，可得ln e=1，max(1,2)=2。",
        "设 $x$ 为苹果数，则 $\\text{total}=3x$，所以 x=4。",
        "已知点P(x1, y1)和点Q(x2, y2)，直线PQ的斜率为k。",
        '图中 [asy] draw((0,0)--(1,1)); label("north", (0,1)); [/asy] 的面积是多少？',
        "Denali 和 Nate 在一家遛狗公司工作，Denali 负责 $16$ 只狗。",
        "已知数列{an}的前n项和为Sn，an+1=2an，速度v=at，根据SSS判定，由AM-GM不等式可得。",
        "若3ab=12，则abc=xyz，ＡＢ＝ＣＤ，4aabb+2=v_start。",
        "\\[\\text{Area of the triangle} = \\frac{1}{2}ab\\]，于是面积为3。",
        "设 $\\mathrm{rate of change}=\\frac{dy}{dx}$，求值。",
        "其中 \\[\\begin{array}{c} a \\\\ b \\end{array}\\]。",
        "图 [asy] /* of problem 8 */ for (int i = 0; i < 3; ++i) draw((i,0)); [/asy] 中有几点？",
        "其中 $\\frac{distance}{time}$ 是速度，$an + bm = at$，$\\mbox{so we go}$ 不算。",
    ],
)
def test_names_of_points_functions_units_and_people_are_no_english(text):
    assert language_share(text, "zh") == 1.0 and not is_mixed(text)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("先算三加四，then 再乘以二，so 答案是十四。", "zh"),
        ("等等，Wait，我们再算一次。", "zh"),
        ("在△ABC中，AB=AC，THEN 点D是中点。", "zh"),
        ("先算apple的个数。", "zh"),
        ("所以22+river=9。", "zh"),
        ("The name of that celebrity is 王菲 and she is 55.", "en"),
        ("Hello world. 你好世界", "en"),
        ("So $x = 3$ 所以 we are done.", "en"),
        ("So \\[ x = 所以 3 \\] we are done.", "en"),
        ("因为 $x^2 - 4 so x = 2$ 成立。", "zh"),
        ("计算\n\\[z + we \\frac{1}{z} = 3.\\]", "zh"),
        ("化简 $\\frac{a hence b}{\\sqrt{a - b}}$。", "zh"),
        ("求 $\\sqrt{x^2 therefore + 1}$ 的值。", "zh"),
        ("设 \\(u = v is w\\)，求 u。", "zh"),
        ("如图 [asy] draw((0,0)--(1,1)); so draw((1,1)--(2,0)); [/asy]，求面积。", "zh"),
    ],
)
def test_a_word_of_the_other_language_is_one(text, asked):
    assert language_share(text, asked) < 1 and is_mixed(text)


INSERTED = {"en": ("所以", "然后", "等等"), "zh": ("then", "however", "Wait", "so")}
BETWEEN = {"en": r"\s", "zh": rf"[{HAN}](?=[{HAN}])|[，。]"}
"""Where a word is inserted: anywhere in English, formulas included; in Chinese in its prose."""


def _texts(name, field):
    text = (DATA / name).read_text("utf-8")
    whole = name.endswith(".json")
    rows = json.loads(text) if whole else map(json.loads, filter(None, text.split("\n")))
    found = [row[field] for row in rows]
    return [text if isinstance(text, str) else text[0]["content"] for text in found]


@pytest.mark.parametrize(
    ("name", "field", "asked"),
    [
        ("gsm8k_train.jsonl", "question", "en"),
        ("gsm8k_train.jsonl", "answer", "en"),
        ("math500.jsonl", "problem", "en"),
        ("r1_traces.json", "message_thinking", "en"),
        ("r1_traces.json", "message_content", "en"),
        ("mgsm_zh.jsonl", "messages", "zh"),
        ("math500_zh.jsonl", "problem", "zh"),
    ],
)
def test_mathematics_is_in_its_language_until_a_word_of_the_other_is_inserted(name, field, asked):
    texts = _texts(name, field)
    pure = [text for text in texts if not language_share(text, asked) < 1]
    assert len(pure) >= 0.99 * len(texts)
    other = {"en": "zh", "zh": "en"}[asked]
    assert all(not language_share(text, other) > 0 for text in pure)
    rng = random.Random(0)
    for text in pure:
        places = [match.end() for match in re.finditer(BETWEEN[asked], text)]
        place = rng.choice(places)
        mixed = f"{text[:place]} {rng.choice(INSERTED[asked])} {text[place:]}"
        assert language_share(mixed, asked) < 1 and is_mixed(mixed), mixed


def test_a_word_at_any_blank_of_chinese_mathematics_is_seen():
    """Also in formulas; in pictures some words are those of code."""
    rng, words = random.Random(0), (*INSERTED["zh"], "we", "is", "because", "let", "suppose")
    seen = []
    for text in _texts("math500_zh.jsonl", "problem"):
        for _ in range(4):
            place = rng.choice([match.start() for match in re.finditer(r"\s|$", text)])
            mixed = f"{text[:place]} {rng.choice(words)} {text[place:]}"
            seen.append(language_share(mixed, "zh") < 1)
    assert sum(seen) >= 0.97 * len(seen)
