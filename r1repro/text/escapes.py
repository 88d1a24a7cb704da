r"""Mends LaTeX that lost its backslashes to JSON or to a Python string.

`"\frac"` without a doubled backslash holds a form feed and "rac"; likewise `\text`, `\boxed`,
`\right`, `\approx`, `\varnothing`. A control character before the rest of such a command is read as
the backslash and letter that were written.
"""

import re

_RESTS = {
    "\x07": ("a", "lpha|pprox|ngle|rccos|rcsin|rctan"),
    "\x08": ("b", "oxed|inom|egin|eta|ar|igl?|igr|mod|old|oldsymbol|f|box"),
    "\t": ("t", "ext[a-z]*|imes|heta|an|frac|riangle|o|ilde"),
    "\x0b": ("v", "ec|arnothing|ee|ert"),
    "\x0c": ("f", "rac|box|ramebox|orall|loor"),
    "\r": ("r", "ight|ho|angle|floor|ceil|m"),
    "\n": ("n", "eq?|abla|u|eg|otin"),
}
_LOST = re.compile(
    "|".join(f"{sign}(?=(?:{rests})(?![a-zA-Z]))" for sign, (_, rests) in _RESTS.items())
)


def mended(text: str) -> str:
    """The text with lost backslashes; a line end before a word stays a line end."""
    if not _LOST.search(text):
        return text
    return _LOST.sub(lambda found: "\\" + _RESTS[found[0]][0], text)
