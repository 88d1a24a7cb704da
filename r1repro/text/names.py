"""Names in mathematical text that belong to no language: of points, functions, units, variables.

Chinese text has `AB=AC`, `sinA`, `5cm` and the name Dan in Latin letters too, so they do not make
it mixed. English words such as `then` or `Wait` do.
"""

import re

COMMON = frozenset(
    "am an as at be by do go he hi if in is it me my no of oh ok on or so to up us we ah "
    "the and but not yes you she they his her its our your their this that these those there here "
    "what which who when where why how all any some each every both many much more most less few "
    "one two three four five six seven eight nine ten first second third last next then now thus "
    "hence therefore because since although though while however moreover also again still just "
    "only even too very well okay alright right wrong true false sure sorry hello thanks please "
    "good bad new old let lets wait hmm actually maybe perhaps finally initially instead otherwise "
    "indeed clearly similarly suppose assume consider given note notice recall remember find solve "
    "compute calculate determine evaluate simplify prove show check verify try think see say use "
    "add subtract multiply divide make take give get put have has had was were are been will would "
    "can could should must may might does did done need want know means mean step answer answers "
    "solution question problem number numbers sum product total value values result equation equal "
    "equals area length angle point points line triangle circle square for from with without into "
    "over under between after before above below about per than like such same other another "
    "different error mistake retry cannot thinking together altogether remaining user assistant "
    "final correct incorrect summary overall always never once twice half "
    "don't isn't doesn't it's let's that's we're i'm i'll i've i'd can't won't we'll".split()
)
"""English words that tell the language wherever they stand, in lower case."""
SHORT = frozenset("so is we of to".split())
"""Those of two letters that do not occur in formulas."""
IN_CODE = frozenset(
    "is of to for and not new add use find sum product number numbers line point points circle "
    "triangle square angle length area value values step result mean one two three left true false "
    "from with over under above below between per get put let show check all any once problem "
    "total equal".split()
)
"""Those that also occur in code, such as that of a picture."""
_PRODUCTS = frozenset("am an as at be by my".split())
"""Those that occur in formulas as products or indices, as in `v=at` and `{an}`."""
_FUNCTION = re.compile(
    r"(?:(?:a|arc)?(?:sin|cos|tan|cot|sec|csc)h?|log|ln|lg|exp|lim|max|min|mod|gcd|lcm|det|deg|dim|"
    r"sup|inf|arg|sgn|ker|var|cov|abs|sqrt|floor|ceil|argmax|argmin|rank)(?:[A-Z]{0,3}|[xyz])"
)
_UNIT = re.compile(
    r"[mcdknuµ]?m|[mk]?g|[mc]?[lL]|[kM]?[wWJN]h?|[kMG]?(?:Hz|Pa|eV|[Bb])|mph|kmh|ft|yd|mi|lbs?|oz|"
    r"hrs?|mins?|secs?|rad|deg|mol|atm|k?cal|rpm|dB|pt|px|th|st|nd|rd"
)
_SIGNS = frozenset("=+*^<>≤≥≠√∠△⊥∥°")
_VOWEL = re.compile("[aeiouyAEIOUY\u00c0-\u024f]")
_GREEK = re.compile("[\u0391-\u03c9ϑϕϖϱϵ]+")


def is_name(word: str, before: str, after: str) -> bool:
    """Whether a run of Latin letters in a text with Chinese is a name.

    before, after: the characters beside it, 0 for any digit. Unless it is COMMON, a run with a
    capital letter is a name; so are two letters, letters without a vowel or in alphabetical order
    (`abc`), functions, units, indices, and up to four letters beside a sign, as in `3aab=`.
    """
    beside_sign = len(word) <= 4 and (before in _SIGNS or after in _SIGNS)
    if _plain(word) in COMMON:
        return word in _PRODUCTS and (beside_sign or before in ("{", "0"))
    return is_formal(word) or word != word.lower() or before == "_" or beside_sign


def is_formal(word: str) -> bool:
    """Whether a run of Latin letters, such as `x-y` or `cosB`, has the form of a formula."""
    if len(word) > 20 or _plain(word) in COMMON:
        return False
    return all(map(_formal, re.split("['’-]", word)))


def is_greek_name(word: str) -> bool:
    """Whether a run of letters is one or two Greek letters, or several in order, as αβγ."""
    return bool(_GREEK.fullmatch(word)) and (len(word) <= 2 or _in_a_row(word))


def _formal(word: str) -> bool:
    if len(word) <= 2 or not _VOWEL.search(word) or (word.isupper() and len(word) <= 4):
        return True
    return _in_a_row(word.lower()) or bool(_FUNCTION.fullmatch(word) or _UNIT.fullmatch(word))


def _in_a_row(word: str) -> bool:
    codes = [ord(letter) for letter in word]
    return all(later - earlier == 1 for earlier, later in zip(codes, codes[1:], strict=False))


def _plain(word: str) -> str:
    return word.lower().replace("’", "'")
