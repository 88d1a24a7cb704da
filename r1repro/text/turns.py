"""Where a model's turn ends, and where its thinking does, in the tags of several families.

A completion may go on after its end token with turns of its own invention, and thinking that was
cut off holds no answer.
"""

import re
from collections.abc import Callable
from itertools import islice

_TOKEN = r"<\|[\w▁-]{1,40}\|>|<｜[\w▁ ]{1,40}｜>|</?s>|<eos>|<end_of_turn>|<pad>"
_ENDING = re.compile(rf"\s{{0,100}}(?:(?:{_TOKEN})\s{{0,100}}){{1,50}}\Z")
_HEADER = re.compile(
    r"\s{0,20}(?:<\|im_start\|>\s?assistant|<\|start_header_id\|>assistant<\|end_header_id\|>|"
    r"<｜Assistant｜>|<start_of_turn>model|<\|assistant\|>)\s{0,20}"
)
_OVER = re.compile(
    r"<\|(?:im_end|im_start|endoftext|end_of_text|eot_id|eom_id|start_header_id|user|return)\|>|"
    r"<｜(?:end▁of▁sentence|User)｜>|</s>|<eos>|<(?:end|start)_of_turn>|\[INST\]|"
    r"\n\s{0,4}(?:User|Human|用户)\s?[:：]"
)
_NEXT_QUESTION = re.compile(
    r"\n\s{0,4}#{0,4}\s?(?:Question|Q|Problem|Exercise|Instruction|问题|题目)\s?\d{0,3}\s?[:：]"
)
_MOST_QUESTIONS = 50
"""Headers of questions that are looked at, which bounds the time of hostile text."""
_NAMES = r"think|thinking|thoughts?|reasoning|reflection|scratchpad|analysis|seed:think"
_OPENED = re.compile(
    rf"<({_NAMES})>|(<\|begin_of_thought\|>|<\|START_THINKING\|>|◁think▷|\[THINK\]|<unused94>|"
    r"<\|channel\|>analysis<\|message\|>)",
    re.IGNORECASE,
)
_CLOSINGS = {
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|start_thinking|>": "<|END_THINKING|>",
    "◁think▷": "◁/think▷",
    "[think]": "[/THINK]",
    "<unused94>": "<unused95>",
    "<|channel|>analysis<|message|>": "<|channel|>final<|message|>",
}
_CLOSED = re.compile(
    rf"</(?:{_NAMES})>|{'|'.join(map(re.escape, _CLOSINGS.values()))}", re.IGNORECASE
)


def without_ending(text: str) -> str:
    """The text without the special tokens at its end, such as `<|im_end|>` or `</s>`."""
    ending = _ENDING.search(text) if text.rstrip().endswith(">") else None
    return text[: ending.start()] if ending else text


def first_turn(text: str, answered: Callable[[str], bool]) -> str:
    """The model's first turn, without its header.

    It ends at an end token or another speaker's turn, or at another question once the text before
    it is `answered`; none of these counts inside the thinking.
    """
    if header := _HEADER.match(text):
        text = text[header.end() :]
    opened, closed = _OPENED.search(text), _CLOSED.search(text)
    start = closed.end() if closed else 0
    if opened and text[: opened.start()].strip() and opened.start() < start:
        start = 0  # an answer comes before the thinking, which is of an invented turn
    if over := _OVER.search(text, start):
        text = text[: over.start()]
    for question in islice(_NEXT_QUESTION.finditer(text, start), _MOST_QUESTIONS):
        if answered(text[start : question.start()]):
            return text[: question.start()]
    return text


def after_thought(text: str) -> str | None:
    """What follows the thinking, in any family's tags; the text if it has none.

    None if the thinking was cut off. Thinking without an opening tag begins in the prompt.
    """
    opened, closed = _OPENED.search(text), list(_CLOSED.finditer(text))
    if opened is None or (closed and closed[0].start() < opened.start()):
        return text[closed[-1].end() :] if closed else text
    closing = f"</{opened[1]}>" if opened[1] else _CLOSINGS[opened[2].lower()]
    ends = list(re.finditer(re.escape(closing), text[opened.end() :], re.IGNORECASE))
    return text[opened.end() + ends[-1].end() :] if ends else None
