"""Where a completion's own turn ends: end tokens, and turns that a model invents after its answer.

A base model that does not stop goes on with a new question and answers that too, so a text is read
up to the end of its first answer.
"""

import re

_END = (
    "<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>", "<|return|>",
    "<｜end▁of▁sentence｜>", "<end_of_turn>", "<eos>", "</s>", "<|end|>",
)  # fmt: skip
_TOKEN = re.compile("|".join(map(re.escape, _END)) + r"(?!\s*<\|start\|>assistant)")
_LEADING = re.compile(rf"^\s*(?:{_TOKEN.pattern})")
_SPEAKER = r"(?:User|Human|Question|Problem|Student|用户|问题|问|题目)\s*[:：]"
# At the start of a line, or right after the answer tag; the speaker of R1-Zero's template, which is
# one line, also after a sentence.
_NEXT = re.compile(
    rf"\n\s{{0,4}}(?:#+\s*|\*\*)?{_SPEAKER}|(?<=</answer>)[\s.。]*{_SPEAKER}"
    r"|(?<=[.。!！?？}\]\d])(?:\s{1,4}User:\s|\s{0,4}用户：)"
    r"|<\|(?:im_start|start_header_id)\|>\s*user|<｜User｜>|<start_of_turn>user"
)
# The speaker of R1-Zero's template begins a new question even where no answer was marked, once a
# number was stated; where an answer is marked later, only if that is in another answerer's turn.
_LINE_OF_USER = re.compile(r"\n\s{0,4}(?:User:|用户：)")
_DIGIT = re.compile(r"\d")
_ANSWERER = re.compile(r"(?:Assistant:|助手：)")
_ANSWERED = re.compile(r"</answer>|\\(?:boxed|fbox)|\n#### |answer is|答案")
_FAMILIES = {
    re.compile(
        r"<\|begin_of_thought\|>|<(?:thinking|reasoning|thought|think)>|◁think▷"
        r"|(?:<\|start\|>assistant)?<\|channel\|>analysis<\|message\|>",
        re.IGNORECASE,
    ): "<think>",
    re.compile(
        r"<\|end_of_thought\|>|</(?:thinking|reasoning|thought|think)>|◁/think▷"
        r"|(?:<\|end\|>)?(?:<\|start\|>assistant)?<\|channel\|>final<\|message\|>",
        re.IGNORECASE,
    ): "</think>",
    re.compile(r"<(?:solution|answer)>", re.IGNORECASE): "<answer>",
    re.compile(r"</(?:solution|answer)>", re.IGNORECASE): "</answer>",
    re.compile(r"<\|(?:begin|end)_of_solution\|>"): "",
}


def first_turn(text: str) -> str:
    """The text up to its first end token, or to another speaker's turn after an answer.

    Where no answer is marked, a number in the text counts as one before a line of "User:".
    """
    if not any(mark in text for mark in ("<", "\n", "User:", "用户：")):
        return text
    text = _LEADING.sub("", without_end(text), count=1)
    token = _TOKEN.search(text)
    if token and _TOKEN.sub("", text[token.end() :]).strip() != "</answer>":
        text = text[: token.start()]
    thought = text.find("</think>")
    if thought >= 0 or "<think>" not in text:
        answered = _ANSWERED.search(text, max(0, thought))
        number = _DIGIT.search(text, max(0, thought))
        user = _LINE_OF_USER.search(text, number.end()) if number else None
        if user and (not answered or _ANSWERER.search(text, user.start(), answered.start())):
            text = text[: user.start()]
        elif answered and (following := _NEXT.search(text, answered.end())):
            text = text[: following.start()]
    return _TOKEN.sub("", text)


def without_end(text: str) -> str:
    """The text without the end tokens after it."""
    end, found = len(text), True
    while found:
        kept = end
        while kept and text[kept - 1].isspace():
            kept -= 1
        found = text.endswith(_END, 0, kept)
        if found:
            end = kept - len(next(token for token in _END if text.endswith(token, 0, kept)))
    return text[:end]


def runs_on(text: str) -> bool:
    """Whether a completion goes on after its first turn."""
    return len(first_turn(text).strip()) < len(_TOKEN.sub("", text).strip())


def one_family(text: str) -> str:
    """The text with the think and answer tags of other model families as R1-Zero's."""
    if "<" not in text and "◁" not in text:
        return text
    for pattern, tag in _FAMILIES.items():
        text = pattern.sub(tag, text)
    return text
