"""Errors that a person can mend: one sentence each."""


class R1ReproError(Exception):
    """What was wrong, what is accepted, what to do. The command line exits with 2."""


class StageFailed(R1ReproError):
    """A stage or its notebook broke while running. The command line exits with 1."""
