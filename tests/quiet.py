"""A display that records its calls, for tests of builds."""

from r1repro.artifacts import StageResult
from r1repro.runner.build import build
from r1repro.runner.workspace import Workspace


class Quiet:
    """Records messages and results; `watch` is called with the names of the running stages."""

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
    """The result of the last of these stages; missing ones are built."""
    return build(Workspace(config), names, show or Quiet())[names[-1]]
