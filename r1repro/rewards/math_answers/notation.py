r"""Brings mathematical answers into one notation, without changing what they say.

Spacing and font commands, Unicode signs, Markdown, quotes and phrases such as "the answer is" go.
Words stay, as `\text{...}`; parsing.py decides what they are.
"""

import re
import unicodedata

from r1repro.rewards.math_answers.lexer import FUNCTIONS
from r1repro.rewards.math_answers.numerals import digits
from r1repro.text.escapes import mended
from r1repro.text.tags import LONGEST

_SPACING = re.compile(
    r"\\(?:left|right|mathopen|mathclose|displaystyle|textstyle|[Bb]igg?[lrm]?|limits|hline|protect"
    r"|strut|boldmath)(?![A-Za-z])\s*(?:\{\})?|\\(?:bf|rm|it)(?![A-Za-z])|\\\(|\\\)|\\\[|\\\]|\$"
)
_BLANKS = re.compile(
    r"\\[,;: ]|~|\\(?:quad|qquad|thinspace|enspace)(?![A-Za-z])|\\h(?:space|skip)\s*\{[^{}]*\}"
)
_WRAPPERS = re.compile(
    r"\\(?:mathbf|mathsf|mathtt|boldsymbol|bm|bold|underline|boxed|fbox|displaystyle"
    r"|color\s*\{[a-zA-Z]+\}|textcolor\s*\{[a-zA-Z]+\})\s*\{([^{}]*)\}"
)
_WORDS = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal|up)?|mathrm|mbox|hbox|operatorname\*?|mathit)\s*\{([^{}]*)\}"
)
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ]+")
_LOWERED = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_STACKED = re.compile("[¼-¾⅐-⅞]|[⁰¹²³⁴⁵⁶⁷⁸⁹]+[⁄/][₀₁₂₃₄₅₆₇₈₉]+")
_POWER = re.compile(r"<(sup|sub)>(.*?)</\1>")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_DOUBLED = re.compile(r"\\\\(?=[A-Za-z])")
_SIGNS = {
    "−": "-", "–": "-", "—": "-", "π": r"\pi ", "∞": r"\infty ", "∪": r"\cup ", "∩": r"\cap ",
    "≤": r"\leq ", "≥": r"\geq ", "⩽": r"\leq ", "⩾": r"\geq ", "≠": r"\neq ", "≈": r"\approx ",
    "√": r"\sqrt ", "×": "*", "·": "*", "⋅": "*", "∗": "*", "÷": "/", "⁄": "/", "∀": r"\forall ",
    "∈": r"\in ", "±": r"\pm ", "∓": r"\mp ", "∅": r"\emptyset ", "∠": r"\angle ", "°": r"^\circ ",
    "º": r"^\circ ", "→": r"\to ", "⇒": r"\Rightarrow ", "⟨": r"\langle ", "⟩": r"\rangle ",
    "′": "'", "’": "'", "‘": "'", "“": '"', "”": '"', "。": ".", "、": ",", "，": ",", "；": ";",
    "∨": r"\vee ", "¬": r"\lnot ", "ℝ": r"\mathbb{R}", "△": r"\triangle ", "Ω": r"\Omega ",
    "€": "EUR ", "£": "GBP ", "¥": "CNY ", "₹": "INR ",
}  # fmt: skip
_COMMANDS = {
    r"\cdot": "*", r"\times": "*", r"\div": "/", r"\ast": "*", r"\dfrac": r"\frac",
    r"\tfrac": r"\frac", r"\cfrac": r"\frac", r"\dbinom": r"\binom", r"\tbinom": r"\binom",
    r"\leqslant": r"\leq", r"\le": r"\leq", r"\geqslant": r"\geq", r"\ge": r"\geq",
    r"\lt": "<", r"\gt": ">", r"\ne": r"\neq", r"\degree": r"^\circ", r"\deg": r"^\circ",
    r"\varnothing": r"\emptyset", r"\lor": r"\vee", r"\neg": r"\lnot", r"\lvert": "|",
    r"\rvert": "|", r"\vert": "|", r"\mid": "|", r"\pounds": "GBP ", r"\euro": "EUR ",
    r"\dots": r"\ldots", r"\cdots": r"\ldots", r"\lbrace": r"\{", r"\rbrace": r"\}",
    r"\land": r"\wedge", r"\varphi": r"\phi", r"\varepsilon": r"\epsilon", r"\qty": "",
    r"\langle": "(", r"\rangle": ")", r"\lparen": "(", r"\rparen": ")",
}  # fmt: skip
_COMMAND = re.compile(r"\\[A-Za-z]+")
_CLAUSE = re.compile(
    r"\s*,?\s*(?:\\text\{\s*)?\b(?:for (?:all|some|every|any|each)|where|whenever)\b.*$",
    re.IGNORECASE | re.DOTALL,
)
_PHRASE = re.compile(
    r"^(?:(?:so|thus|hence|therefore)\s*,?\s+)?(?:(?:the|my)\s+)?(?:final\s+|correct\s+)?"
    r"(?:answer|result)\s*(?:is|=|:|would be)\s*:?\s*"
    r"|^(?:最终|最后|正确)?答案\s*(?:是|为|:)\s*:?\s*"
    r"|^(?:it is|it's)\s+(?=[\\\d$-])",
    re.IGNORECASE,
)
_NOTHING = re.compile(
    r"(?:\\text\s*\{\s*)?(?:(?:there (?:is|are)|it has|has|have) )?no (?:(real|integer|positive) )?"
    r"solutions?(?: exists?)?\s*\}?|(?:\\text\s*\{\s*)?(?:方程)?(?:无解|空集)\s*\}?",
    re.IGNORECASE,
)
_ABSENT = re.compile(
    r"(?:\\text\s*\{\s*)?(?:(?:the )?limit )?(?:DNE|does not exist|doesn't exist)\s*\}?|不存在",
    re.IGNORECASE,
)
_SHORT = re.compile(r"\\frac\s*(\d)\s*(\d)(?!\d)")
_STOP = re.compile(r"(?<=[\w}])\s*\.(?=\s*[\])])")  # a stop before a closing bracket
_QUOTES = (
    ("**", "**"), ("__", "__"), ("``", "''"), ("*", "*"), ("`", "`"), ("'", "'"), ('"', '"'),
)  # fmt: skip
_BOLD = re.compile(r"(?<![\w)\]}*])\*\*(?=[^*\s])([^*]+)\*\*(?![\w(\[{*])")
_MONEY = re.compile(r"\\\$|(?<![\w$\\])\$(?=\d[\d.,]*\s*$)")


def clean(answer: str) -> str:
    r"""The answer in one notation; words as `\text{...}`, blanks single, matrix rows by `\cr`."""
    if len(answer) <= LONGEST and _NUMBER.fullmatch(answer):  # most answers
        return answer
    text = _one_script(mended(answer[: 2 * LONGEST]))[:LONGEST]
    if "matrix}" in text or "array}" in text or "cases}" in text:
        text = text.replace("\\\\", r" \cr ")
    text = _DOUBLED.sub(r"\\", text)
    text = _BOLD.sub(r" \1 ", _MONEY.sub("USD ", text))
    text = _unquoted(_BLANKS.sub(" ", text.replace(r"\!", "").replace("{,}", ",")))
    text = _SPACING.sub(" ", text)
    for sign, written in () if text.isascii() else _SIGNS.items():
        text = text.replace(sign, written)
    text = _COMMAND.sub(lambda found: _COMMANDS.get(found[0], found[0]), text)
    for _ in range(3):
        text = _WRAPPERS.sub(r"{\1}", text)
    text = _SHORT.sub(r"\\frac{\1}{\2}", _WORDS.sub(_word, text))
    text = " ".join(_STOP.sub("", text.replace(r"\%", "%")).split())
    text = _unquoted(_PHRASE.sub("", _unquoted(_CLAUSE.sub("", text)), count=1))
    if nothing := _NOTHING.fullmatch(text):
        kind = (nothing[1] or "").casefold()
        return rf"\text{{no {kind} solution}}" if kind else r"\emptyset"
    return r"\text{does not exist}" if _ABSENT.fullmatch(text) else digits(text)


def _one_script(text: str) -> str:
    """Compatibility forms of Unicode as plain ones: ½, ⁴⁄₉, x², x₁, full width."""
    if not text.isascii():
        text = _STACKED.sub(_stacked, text)
        text = _LOWERED.sub(r"_{\g<0>}", _RAISED.sub(r"^{\g<0>}", text))
        text = text.replace("∛", r"\sqrt[3]").replace("∜", r"\sqrt[4]").replace("º", "°")
        text = unicodedata.normalize("NFKC", text)
    return _POWER.sub(_powered, text)


def _powered(found: re.Match[str]) -> str:
    return ("^" if found[1] == "sup" else "_") + f"{{{found[2]}}}"


def _stacked(found: re.Match[str]) -> str:
    top, bottom = re.split("[⁄/]", unicodedata.normalize("NFKC", found[0]))
    return rf"\frac{{{top}}}{{{bottom}}}"


def _word(found: re.Match[str]) -> str:
    r"""What a text command holds: mathematics bare, words as `\text{words}`."""
    word = " ".join(found[1].split())
    after_number = re.search(r"[\d})]\s*$", found.string[: found.start()]) is not None
    if word in FUNCTIONS and not (after_number and word in ("min", "sec")):
        return rf"\{word} "
    if not re.search(r"[^\W\d_]", word) or re.search(r"\d", word) or word in ("e", "i", "d"):
        return f" {word} "
    if re.fullmatch(r"\(?[A-Z]\)?\.?", word) and not after_number:
        return f" {word} "
    joint = re.fullmatch(r"(?:(.*?)\s*,?\s*\b)?(and|or)(?:\b\s*(.*))?", word)
    if joint and not (joint[1] and joint[3]):
        sides = [rf"\text{{{side}}}" if side else "" for side in joint.groups()[::2]]
        return f" {sides[0]} {joint[2]} {sides[1]} "
    return rf" \text{{{word}}} "


def _unquoted(text: str) -> str:
    """The text without quotes and Markdown around the whole, and without final stops."""
    for _ in range(6):
        before = text
        text = text.strip(" \t\r\n").lstrip(",;").rstrip(",;:").rstrip()
        if text.endswith(".") and not text.endswith(".."):
            text = text[:-1].rstrip()
        for opening, closing in _QUOTES:
            inside = text[len(opening) : -len(closing)]
            whole = text.startswith(opening) and text.endswith(closing) and inside.strip()
            if whole and opening not in inside and closing not in inside:
                text = inside
        if text == before:
            break
    return text


def compact(text: str) -> str:
    """A cleaned answer without blanks and without braces around single signs, to compare texts."""
    text = re.sub(r"\{(\w)\}(?!\w)", r"\1", text)
    text = re.sub(r"(?<![\d,])(\d+)\s*,\s*(?=\d)", r"\1,", text)
    return re.sub(r"(?<![\w])\s+|\s+(?![\w])", "", text)
