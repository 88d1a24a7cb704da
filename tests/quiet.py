"""A display that keeps what it is told, for tests of what is built."""

from r1repro.artifacts import StageResult
from r1repro.runner.build import build
from r1repro.runner.workspace import Workspace


class Quiet:
    """`watch` is called with the names of the running stages, twice a second."""

    def __init__(self, watch=lambda names: None) -> None:
        self.said: list[str] = []
        self.built: list[str] = []
        self.loaded: list[str] = []
        self.running = watch

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def done(self, result: StageResult, built: bool) -> None:
        (self.built if built else self.loaded).append(result.name)


def made(config, *names, show=None):
    """The result of the last of these stages, built where missing."""
    return build(Workspace(config), names, show or Quiet())[names[-1]]
