"""The parameters that papermill gives a notebook: read as they are meant, or refused.

papermill accepts any value, and only warns of a name that the notebook does not have.
"""

import ast
import re
from itertools import pairwise
from pathlib import Path
from typing import Literal

from IPython.core.getipython import get_ipython

from r1repro.errors import R1ReproError

INJECTED = "# Parameters\n"
"""How the cell begins that papermill adds after the notebook's own parameters."""
ANSWERS: dict[str, bool | Literal["ask"]] = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
    "ask": "ask",
}
"""What build_missing takes, in upper or lower case: papermill's command line gives text."""
SEVERAL = re.compile(r"[\s,;][a-z_][\w.]*\s*=")
"""A second setting in a text."""
EXAMPLE = '-y "overrides: [scale=smoke, seed=1]"'
SHOWN = 100
"""Most characters of a value in an error."""


def check_names() -> None:
    """Raise R1ReproError for an injected name that the notebook's own parameters do not have."""
    shell = get_ipython()
    cells = [] if shell is None else shell.user_ns.get("In", ())
    for before, cell in reversed([*pairwise(cells)]):
        if cell.startswith(INJECTED):
            own = _assigned(before)
            wrong = [name for name in _assigned(cell) if own and name not in own]
            if wrong:
                raise R1ReproError(
                    f"the notebook has no parameter {wrong[0]}: it takes {', '.join(own)}; "
                    f"settings go into overrides, such as {EXAMPLE}"
                )
            return


def _assigned(cell: str) -> list[str]:
    """The names to which a cell assigns."""
    try:
        lines = ast.parse(cell).body
    except SyntaxError:
        return []
    targets = (target for line in lines if isinstance(line, ast.Assign) for target in line.targets)
    return [target.id for target in targets if isinstance(target, ast.Name)]


def settings(given: object) -> list[str]:
    """`overrides` as a list; a text is one setting, or a list such as "[scale=smoke, seed=1]".

    Raises R1ReproError for anything else, and for several settings in a text that is no list.
    """
    if isinstance(given, str) and SEVERAL.search(given) and not given.lstrip().startswith("["):
        raise R1ReproError(
            f"overrides={_shown(given)} has several settings in one text: give a list, such as "
            f"{EXAMPLE}"
        )
    return texts("overrides", given, f"settings, such as {EXAMPLE}")


def texts(name: str, given: object, accepted: str) -> list[str]:
    """A parameter that is a list of texts: given as a list, one text or a list in a text."""
    import yaml

    found = given
    if given is None or (isinstance(given, str) and not given.strip()):
        found = []
    elif isinstance(given, str):
        try:
            found = yaml.safe_load(given) if given.lstrip().startswith("[") else [given]
        except yaml.YAMLError:
            found = None
    if isinstance(found, list | tuple) and all(isinstance(one, str) for one in found):
        return list(found)
    raise R1ReproError(f"{name}={_shown(given)} is not accepted: {name} takes a list of {accepted}")


def build_or_not(given: object) -> bool | Literal["ask"]:
    """`build_missing`: true or false, however it is written, or "ask"."""
    answer = ANSWERS.get(str(given).strip().lower())
    if answer is None:
        raise R1ReproError(
            f"build_missing={_shown(given)} is not accepted: build_missing takes ask, True or False"
        )
    return answer


def file(given: object) -> Path | None:
    """`config_path`; None if it is empty."""
    if given is None or given == "":
        return None
    if isinstance(given, str | Path):
        return Path(given).expanduser()
    raise R1ReproError(
        f"config_path={_shown(given)} is not accepted: config_path takes the path of the "
        "resolved.yaml of a run, or nothing"
    )


def _shown(given: object) -> str:
    text = repr(given)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
