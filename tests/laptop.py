"""Settings for tests that need one node of them: the laptop's, with changes."""

from dataclasses import replace
from functools import cache
from typing import Any

from r1repro.config import Config, compose


@cache
def _nodes() -> dict[type, Any]:
    config = compose()
    nodes = [*vars(config).values(), *vars(config.stage).values()]
    return {type(node): node for node in [*reversed(nodes), config]}


def laptop(kind: type = Config, **changes: Any) -> Any:
    """The laptop's first settings of that class, such as R1-Zero's for RLConfig."""
    return replace(_nodes()[kind], **changes)
