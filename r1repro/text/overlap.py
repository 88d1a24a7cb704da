"""Finds training rows that overlap with an evaluation set, and says in which way.

What many rows of a file share, such as an instruction around each question, is removed first.
Translations and paraphrases are not detected.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from r1repro.text.wording import Wording, joined, wording

NGRAM = 6
"""Pieces per n-gram."""
SHARE = 0.4
"""Minimum share of the shorter text's n-grams for two texts to be compared further."""
LEAST = 8
"""Minimum n-grams of the shorter text; with fewer, only whole texts are compared."""
ALIKE = 0.8
"""Minimum share of the words, in the sentences with numbers, of texts with one wording."""
ALIKE_APART = 0.5
"""The same in what the texts do not share, where no sentence has a number."""
EVIDENCE = ("exact", "edited", "numbers", "phrase")
"""exact: one text is the other, alone or among further sentences. edited: most words are the same,
and so are the numbers in their order. numbers: most words are, some number is not. phrase: one
long phrase is the same."""
COPIES = ("exact", "edited")
"""Evidence of the same problem."""
_WRAPPED = 0.05
"""Share of a file's rows with a sentence, at least three, that makes it an instruction."""
_COMMON = 10
"""An n-gram in more rows of the evaluation than this and that share is no evidence."""
_AFFIX_SHARE = 0.8
"""The same for the first or last pieces of a row within a sentence."""
_AFFIX = 3
"""Minimum pieces of such an affix."""
_CLOSEST = 3
"""Rows that are compared in full, of those that share most n-grams."""


@dataclass(frozen=True)
class Overlap:
    """An overlap between two rows.

    train, evaluation: row numbers, from 0. evidence: one of EVIDENCE. share: of the n-grams of the
        shorter text.
    """

    train: int
    evaluation: int
    evidence: str
    share: float


def overlaps(train: Sequence[str], evaluation: Sequence[str]) -> list[Overlap]:
    """For each row of `train`, the `evaluation` row with the strongest overlap, if any."""
    ours, theirs = _unwrapped([wording(t) for t in train], [wording(t) for t in evaluation])
    exact = _held(ours, theirs)
    grams = [_ngrams(asked.plain) for asked in theirs]
    times = Counter(gram for held in grams for gram in held)
    common_phrases = {g for g, n in times.items() if n > max(_COMMON, _WRAPPED * len(theirs))}
    grams = [held - common_phrases for held in grams]
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, held in enumerate(grams):
        for gram in held:
            holders[gram].append(row)
    found = []
    for number, asked in enumerate(ours):
        if number in exact:
            found.append(Overlap(number, exact[number], "exact", 1.0))
            continue
        own = _ngrams(asked.plain) - common_phrases
        common = Counter(row for gram in own for row in holders.get(gram, ()))
        shares = {}
        for row, count in common.items():
            size = min(len(own), len(grams[row]))
            if size >= LEAST and count / size >= SHARE:
                shares[row] = count / size
        closest = sorted(shares, key=lambda row: (-shares[row], row))[:_CLOSEST]
        kinds = [(_kind(asked, theirs[row]), row) for row in closest]
        if kinds:
            kind, row = min(kinds, key=lambda one: EVIDENCE.index(one[0]))
            found.append(Overlap(number, row, kind, round(shares[row], 4)))
    return found


def copies(train: Sequence[str], evaluation: Sequence[str]) -> set[int]:
    """Rows of `train` that are a problem of `evaluation`."""
    return {one.train for one in overlaps(train, evaluation) if one.evidence in COPIES}


def _kind(one: Wording, other: Wording) -> str:
    """The evidence of two texts that share many n-grams, in their sentences with numbers."""
    shorter, longer = sorted((one, other), key=lambda asked: len(asked.plain))
    words, numbers = _told(shorter, longer)
    other_words, other_numbers = _told(longer, shorter)
    alike = ALIKE if numbers else ALIKE_APART
    if (words & other_words).total() < alike * words.total():
        return "phrase"
    rest = iter(other_numbers)
    return "edited" if all(number in rest for number in numbers) else "numbers"


def _told(asked: Wording, other: Wording) -> tuple[Counter[str], list[str]]:
    """(words, numbers in order) of the sentences with numbers.

    Where none has one, of those that the `other` text has not, or else of all.
    """
    told = [one for one in asked.sentences if _has_number(one)]
    if not told:
        told = [one for one in asked.sentences if one not in other.sentences]
    content = joined(told or asked.sentences).plain
    words = Counter(piece for piece in content if not piece[0].isdigit())
    return words, [piece for piece in content if piece[0].isdigit()]


def _held(ours: Sequence[Wording], theirs: Sequence[Wording]) -> dict[int, int]:
    """The row of `theirs` that each row of `ours` equals, holds in whole sentences, or is held by.

    An equal row comes first, then the longest.
    """
    held = _holding(ours, theirs) + [(mine, row) for row, mine in _holding(theirs, ours)]
    found = dict(sorted(held, key=lambda pair: (len(theirs[pair[1]].pieces), -pair[1])))
    whole = {asked.pieces: row for row, asked in reversed([*enumerate(theirs)]) if asked.pieces}
    equal = {row: whole[one.pieces] for row, one in enumerate(ours) if one.pieces in whole}
    return found | equal


def _holding(outer: Sequence[Wording], inner: Sequence[Wording]) -> list[tuple[int, int]]:
    """(row of `outer`, row of `inner` that it holds among further sentences)."""
    by_start: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, asked in enumerate(inner):
        pieces = asked.pieces
        if len(pieces) >= 5 or (len(pieces) >= 3 and _has_number(pieces)):
            by_start[pieces[:3]].append(row)
    found = []
    for number, asked in enumerate(outer):
        ends = {*asked.starts, len(asked.pieces)}
        for start in asked.starts:
            for row in by_start.get(asked.pieces[start : start + 3], ()):
                pieces = inner[row].pieces
                end = start + len(pieces)
                if (
                    end in ends
                    and asked.pieces[start:end] == pieces
                    and _introduces(asked.pieces[:start], pieces)
                ):
                    found.append((number, row))
    return found


def _introduces(before: Sequence[str], pieces: Sequence[str]) -> bool:
    """Whether what stands before a question is not a part of it: no number, but a numbering."""
    return not _has_number(before) or (len(before) <= 8 and _has_number(pieces))


def _has_number(pieces: Iterable[str]) -> bool:
    return any(piece[0].isdigit() for piece in pieces)


def _unwrapped(*files: Sequence[Wording]) -> list[list[Wording]]:
    """The files without the sentences and affixes that many rows of one of them share."""
    counted = [_sentences(rows) for rows in files]
    dropped = {
        sentence
        for times, rows in counted
        for sentence, count in times.items()
        if count >= max(3, _WRAPPED * rows) and all(_wraps(sentence, *one) for one in counted)
    }
    cut = [[_without(asked, dropped) for asked in rows] for rows in files]
    for backwards in (False, True):
        affixes = [_affix({asked.pieces for asked in rows}, backwards) for rows in cut]
        for affix in filter(None, affixes):
            cut = [[_cut(asked, affix, backwards) for asked in rows] for rows in cut]
    return cut


def _sentences(rows: Sequence[Wording]) -> tuple[Counter[tuple[str, ...]], int]:
    """(in how many different rows each sentence is, the number of these rows)."""
    distinct = {asked.pieces: asked for asked in rows}.values()
    return Counter(one for asked in distinct for one in set(asked.sentences)), len(distinct)


def _wraps(sentence: tuple[str, ...], times: Counter[tuple[str, ...]], rows: int) -> bool:
    """Whether a file bears out that a sentence is an instruction: it is in no row, or in many.

    In a few rows of an evaluation it is the question, which the other file has several times.
    """
    count = times[sentence]
    if count == 0 or count >= max(3, _WRAPPED * rows):
        return True
    return count > rows / 2 and not _has_number(sentence)


def _without(asked: Wording, dropped: set[tuple[str, ...]]) -> Wording:
    sizes = {len(one) for one in dropped if len(one) > _AFFIX}
    kept = []
    for sentence in asked.sentences:
        if sentence not in dropped:
            # At the end of a formula or picture no mark may set the instruction off.
            ends = (size for size in sizes if size < len(sentence) and sentence[-size:] in dropped)
            kept.append(sentence[: len(sentence) - max(ends, default=0)])
    rest = joined(kept)
    return rest if rest.pieces else asked


def _affix(rows: set[tuple[str, ...]], backwards: bool) -> tuple[str, ...]:
    """The first pieces that most rows share, or the last; empty if these are too few."""
    turned = [row[::-1] if backwards else row for row in rows]
    affix: tuple[str, ...] = ()
    while longer := Counter(row[: len(affix) + 1] for row in turned if len(row) > len(affix) + 1):
        best, count = longer.most_common(1)[0]
        if count < max(3, _AFFIX_SHARE * len(rows)):
            break
        affix = best
    if len(affix) < _AFFIX:
        return ()
    return affix[::-1] if backwards else affix


def _cut(asked: Wording, affix: tuple[str, ...], backwards: bool) -> Wording:
    pieces, size = asked.pieces, len(affix)
    if len(pieces) <= size or (pieces[-size:] if backwards else pieces[:size]) != affix:
        return asked
    if backwards:
        kept = pieces[:-size]
        return Wording(kept, tuple(start for start in asked.starts if start < len(kept)))
    later = [start - size for start in asked.starts if start > size]
    return Wording(pieces[size:], (0, *later))


def _ngrams(asked: Sequence[str]) -> set[tuple[str, ...]]:
    return {tuple(asked[start : start + NGRAM]) for start in range(len(asked) - NGRAM + 1)}
