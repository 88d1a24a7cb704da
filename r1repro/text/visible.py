"""Text by a model, which may hold anything, as text that only shows."""

import unicodedata


def visible(text: str) -> str:
    """The text with every character that would not be seen, or would move others, spelled out.

    Lone surrogates, control characters (so that no terminal takes orders), and marks of direction
    become ⟨U+202E⟩ and the like; line breaks and tabs stay.
    """
    return "".join(
        f"⟨U+{ord(c):04X}⟩"
        if c not in "\n\t\u200d" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn")
        else c
        for c in text
    )
