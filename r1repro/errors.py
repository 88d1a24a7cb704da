"""Errors that a user can fix, one sentence each."""

import difflib
from collections.abc import Collection

LISTED = 8
"""Up to this many names are listed in an error; of more, the nearest ones."""


class R1ReproError(Exception):
    """States what was wrong, what is accepted and what to do. The command line exits with 2."""


class StageFailed(R1ReproError):
    """A stage or its notebook failed while running. The command line exits with 1."""


def offered(wrong: str, names: Collection[str], where: str) -> str:
    """The accepted names, for an error: all if few, else the nearest and where the rest are listed.

    where: where all names are listed, with its verb, such as "conf/models.yaml has".
    """
    if len(names) <= LISTED:
        return ", ".join(names)
    nearest = difflib.get_close_matches(wrong, names, n=3, cutoff=0.0)
    return f"{', '.join(nearest)} and others ({where} all {len(names)})"
