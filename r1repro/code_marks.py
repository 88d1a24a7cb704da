"""Marks of code: hashes of the syntax of what a stage or a notebook imports from this package.

Comments, layout and strings that nothing uses, such as docstrings, do not count, and neither does
code that is not imported. Also the commit of the checkout.
"""

import ast
import hashlib
import importlib.util
import json
import subprocess
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
TEMPLATES = (".jinja", ".j2")
"""Suffixes of data that counts as code of the package whose folder it is in."""
_held: dict[Path, bytes] = {}


def hold() -> None:
    """Keep the sources as they are now, so that later marks are of the code that is loaded."""
    _held.update((file, file.read_bytes()) for file in _files())
    everything()  # so that no fork of this process parses them again


def everything() -> str:
    """The mark of the whole package."""
    return mark(_name(file) for file in _files() if file.suffix == ".py")


def of_function(dotted: str) -> str:
    """The mark of the code of "module:function"."""
    return mark([dotted.partition(":")[0]])


def of_functions(dotted: Iterable[str]) -> dict[str, str]:
    """`of_function` of each, with every source read once."""
    module = cache(_module)
    return {one: mark([one.partition(":")[0]], module) for one in dotted}


def of_notebook(notebook: Path) -> str:
    """The mark of what a notebook imports."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return mark(_parsed("\n".join(code).encode())[0])


def mark(roots: Iterable[str], module: Callable[[str], Any] | None = None) -> str:
    """sha256 of the modules of these names, of what they import and of the templates among it.

    Imports within functions count too. Modules of other packages count only among `roots`.
    """
    module = module or cache(_module)
    found: dict[str, str] = {}
    waiting = [name for root in roots for name in _with_parents(root)]
    while waiting:
        name = waiting.pop()
        if name not in found and (parsed := module(name)):
            imported, found[name] = parsed
            waiting += [part for other in imported for part in _with_parents(other)]
    for file in _files():
        if file.suffix in TEMPLATES and _package(file) in found:
            name = str(file.relative_to(PACKAGE))
            found[name] = hashlib.sha256(_read(file)).hexdigest()
    return hashlib.sha256(json.dumps(sorted(found.items())).encode()).hexdigest()


def git_state(folder: Path) -> dict[str, Any]:
    """Commit and dirty state of the checkout; both None without a git repository of its own.

    Changes in reports/ are ignored, since published versions are outputs only.
    """

    def git(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != folder.resolve():
            return {"commit": None, "dirty": None}  # a working copy inside of another repository
        changed = git("status", "--porcelain", "--", ".", ":(exclude)reports")
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(changed)}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


def _files() -> Iterator[Path]:
    return (file for file in PACKAGE.rglob("*") if file.suffix in (".py", *TEMPLATES))


def _read(file: Path) -> bytes:
    return _held[file] if file in _held else file.read_bytes()


def _package(file: Path) -> str:
    """The name of the package that a file belongs to."""
    above = (folder / "__init__.py" for folder in file.parents)
    return _name(next(init for init in above if init.is_file()))


def _name(file: Path) -> str:
    """The name of the module in a file."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _with_parents(name: str) -> list[str]:
    """The name and those of its packages, whose __init__.py an import executes."""
    return [*accumulate(name.split("."), "{}.{}".format)]


def _file(name: str) -> Path | None:
    """The file of a module; None if there is none, as for a function's name."""
    package, *rest = name.split(".")
    if package != PACKAGE.name:
        spec = importlib.util.find_spec(name)
        return Path(spec.origin) if spec and spec.has_location and spec.origin else None
    place = PACKAGE.joinpath(*rest)
    files = (place / "__init__.py", place.with_suffix(".py"))
    return next((file for file in files if file.is_file()), None)


def _module(name: str) -> tuple[frozenset[str], str] | None:
    """`_parsed` of a module of that name; None if there is none."""
    file = _file(name)
    return None if file is None else _parsed(_read(file))


@cache
def _parsed(source: bytes) -> tuple[frozenset[str], str]:
    """What a source imports from this package, and the hash of its syntax."""
    tree, imported = ast.parse(source), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [one for one in body if not _is_text(one)]  # type: ignore[attr-defined]
    ours = {name for name in imported if name.partition(".")[0] == PACKAGE.name}
    return frozenset(ours), hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_text(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)
