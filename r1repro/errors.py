"""Errors that a person can mend: one sentence each."""

import difflib
from collections.abc import Collection

LISTED = 8
"""Names that an error lists; of more it gives the nearest."""


class R1ReproError(Exception):
    """What was wrong, what is accepted, what to do. The command line exits with 2."""


class StageFailed(R1ReproError):
    """A stage or its notebook broke while running. The command line exits with 1."""


def offered(wrong: str, names: Collection[str], where: str) -> str:
    """The names there are instead of a wrong one: all of few, or the nearest and where all are.

    where: what tells of the others, with its verb, such as "conf/model/ has".
    """
    if len(names) <= LISTED:
        return ", ".join(names)
    nearest = difflib.get_close_matches(wrong, names, n=3, cutoff=0.0)
    return f"{', '.join(nearest)} and others ({where} all {len(names)})"
