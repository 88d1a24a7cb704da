"""Makes model output safe to display."""

import unicodedata


def visible(text: str) -> str:
    """Replace every invisible or layout-changing character by its code point.

    Lone surrogates, control characters (including terminal escapes) and direction marks become
    ⟨U+202E⟩ and the like; line breaks and tabs stay.
    """
    return "".join(
        f"⟨U+{ord(c):04X}⟩"
        if c not in "\n\t\u200d" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn")
        else c
        for c in text
    )
