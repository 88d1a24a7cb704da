"""A question's wording as pieces that do not depend on how it is typeset.

Case, spacing, math delimiters, equivalent commands (`\\dfrac`; `^\\circ` and °) and punctuation do
not count; brackets and decimal points do.
"""

import re
import unicodedata
import zlib
from dataclasses import dataclass
from functools import cached_property

from r1repro.text.language import HAN

_ASY = re.compile(r"\[asy\](.*?)\[/asy\]", re.DOTALL)
_GAP = re.compile(
    r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|textstyle|dsize|limits|q?quad|text|mathrm|mathbf|"
    r"textbf|textit|emph|mbox|operatorname|rm|bf|it)(?![a-z])|\\[,;:! ()\[\]]|"
    r"\\(?:begin|end)\s{0,4}\{[a-z]{1,20}\*?\}(?:\{[lcr|]{1,20}\})?|\\\\(?:\[\w{1,8}\])?|[$&~]|\{,\}"
)
_ALIKE = [
    (re.compile(pattern), form)
    for pattern, form in (
        (r"\\[dtc]frac", r"\\frac"),
        (r"\\[dt]binom", r"\\binom"),
        (r"\\frac\s?(\d)\s?(\d)", r"\\frac \1 \2 "),
        (r"(?<=[a-z])'{1,3}(?=\()", " prime "),
        (r"\^\s{0,4}\{?\s{0,4}(?:\\circ|\\degree|°)(?:\s{0,4}\})?|\\degree", "°"),
        (r"\\times(?![a-z])|\\cdot(?![a-z])|[×·⋅∙]", "*"),
        (r"(?<=\w)\*\*(?=\w)", "^"),
        (r"\*\*|__", " "),
        (r"\\le(?:q|qslant)?(?![a-z])|≤|⩽", "<="),
        (r"\\ge(?:q|qslant)?(?![a-z])|≥|⩾", ">="),
        (r"\\neq?(?![a-z])|≠", "!="),
        (r"√", " sqrt "),
        (r"∞", " infty "),
        (r"∠", " angle "),
        (r"△", " triangle "),
        (r"[−–—]", "-"),
        (r"\{,\}|,\\!", ","),
        (r"(?<=\d),(?=\d{3}(?!\d))", ""),
    )
]
_SENTENCE = re.compile(
    r"(?m:^[ \t]{0,4}\(?(?:\d{1,3}|[a-z])[.)][ \t])|\n|"
    r"(?<=[.?!:])[\s$)\]*\"”]{1,4}(?=\S)|[。？！：；]|"
    r"<\|?/?[a-z_][^<>\n]{0,40}>|\[/?inst\]|"
    r"(?=(?<![a-z])(?:answer|solution)\s{0,4}:)|(?=答案|【)"
)
_PIECE = re.compile(
    rf"\d+(?:\.\d+)?|[{HAN}]|[^\W\d_{HAN}]+|[^\w\s\\{{}},.;:?!'\"“”‘’#，、。？！：；…]"
)
_BRACKETS = frozenset("()[]（）【】|")


@dataclass(frozen=True)
class Wording:
    """Pieces of a text, of which a picture is one, and where its sentences start, from 0."""

    pieces: tuple[str, ...]
    starts: tuple[int, ...]

    @property
    def sentences(self) -> list[tuple[str, ...]]:
        """The pieces of each sentence."""
        ends = (*self.starts[1:], len(self.pieces))[: len(self.starts)]
        return [self.pieces[start:end] for start, end in zip(self.starts, ends, strict=True)]

    @cached_property
    def plain(self) -> tuple[str, ...]:
        """The pieces without brackets and pictures."""
        return tuple(
            piece
            for piece in self.pieces
            if piece not in _BRACKETS and not piece.startswith("asypicture")
        )


def wording(text: str) -> Wording:
    """A text: words, numbers and signs in lower case; each Chinese character is a piece."""
    return joined([tuple(_PIECE.findall(part)) for part in _SENTENCE.split(_alike(text))])


def joined(sentences: list[tuple[str, ...]]) -> Wording:
    """The wording of sentences in order, of which empty ones are dropped."""
    pieces: list[str] = []
    starts = []
    for sentence in filter(None, sentences):
        starts.append(len(pieces))
        pieces += sentence
    return Wording(tuple(pieces), tuple(starts))


def _alike(text: str) -> str:
    text = text.casefold()
    if "[/asy]" in text:
        text = _ASY.sub(lambda found: f" asypicture{_digest(found[1])} ", text)
    if not text.isascii():
        text = "".join(map(_plain, text))
    for pattern, form in _ALIKE:
        text = pattern.sub(form, text)
    return _GAP.sub(" ", text)


def _plain(character: str) -> str:
    """A character as it is written in LaTeX or on a plain keyboard: pi for π, ^2 for ²."""
    if character.isascii() or "\u3000" <= character <= "\u9fff":
        return character
    name = unicodedata.name(character, "")
    if name.startswith("GREEK ") and " LETTER " in name:
        return f" {name.split()[-1].lower()} "
    form = unicodedata.decomposition(character)
    if not form.startswith("<"):
        return character
    plain = unicodedata.normalize("NFKC", character).casefold().replace("\u2044", "/")
    if plain in ":;?!,":
        return character  # of Chinese, which has no space after it
    return {"<super>": "^", "<sub>": "_"}.get(form.split()[0], "") + plain


def _digest(picture: str) -> str:
    """A checksum of a picture in letters, so that it is one piece."""
    checksum = zlib.crc32("".join(picture.split()).encode("utf-8", "surrogatepass"))
    return str(checksum).translate(str.maketrans("0123456789", "abcdefghij"))
