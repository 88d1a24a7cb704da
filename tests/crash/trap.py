"""Kills processes of a run at a chosen moment; imported by the runner and by its stages' server.

R1REPRO_TRAP holds JSON: moment (a key of MOMENTS), count (which occurrence of it), target
(stage, runner, kernel or all) and folder, in which occurrences are counted over all processes.
"""

import functools
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SETTING = "R1REPRO_TRAP"


def spring(moment: str) -> None:
    """Count an occurrence of the moment; kill if it is the chosen one."""
    chosen = json.loads(os.environ[SETTING])
    if chosen["moment"] != moment:
        return
    folder = Path(chosen["folder"])
    with (folder / "count").open("ab") as file:
        file.write(b".")
        file.flush()
        if file.tell() != chosen["count"]:
            return
    runner = int((folder / "runner").read_text())
    own = os.getpid() == runner
    if chosen["target"] == "kernel":
        for kernel in _kernels():  # none if the notebook has ended: then nothing was killed
            os.kill(kernel, signal.SIGKILL)
            (folder / "sprung").touch()
        return
    (folder / "sprung").touch()
    if chosen["target"] == "all" and not own:
        os.kill(os.getppid(), signal.SIGKILL)  # the server that forks the stages
    if chosen["target"] in ("runner", "all") or own:
        os.kill(runner, signal.SIGKILL)
    if chosen["target"] in ("stage", "all"):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # until the stage notices that its runner is gone


def _kernels() -> list[int]:
    """Processes of this one's notebooks."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            line = (place / "cmdline").read_bytes()
        except (OSError, ValueError):  # it has ended
            continue
        if parent == os.getpid() and b"ipykernel_launcher" in line:
            found.append(int(place.name))
    return found


def before(module: Any, name: str, moment: str, when: Callable[..., bool] | None = None) -> None:
    """Make a function of a module, or method of a class, a place where the moment occurs."""
    original = getattr(module, name)

    @functools.wraps(original)
    def watched(*args: Any, **kwargs: Any) -> Any:
        if when is None or when(*args, **kwargs):
            spring(moment)
        return original(*args, **kwargs)

    setattr(module, name, watched)


def _into_cache(path: Path, target: Path) -> bool:
    return Path(target).parent.name == "cache"


def _kill_kernel(*_: Any, **__: Any) -> bool:
    """Not at once but while the notebook runs; the count is of notebooks."""
    threading.Thread(target=_after_start, daemon=True).start()
    return False


def _after_start() -> None:
    time.sleep(2)
    spring("notebook")


def install() -> None:
    """Watch for the moment in this process and its forks."""
    moment = json.loads(os.environ[SETTING])["moment"]
    MOMENTS[moment](moment)


def _pretraining(moment: str) -> None:
    from r1repro.training import pretraining

    before(pretraining, "_update", moment)


def _rollout(moment: str) -> None:
    from r1repro.training import trl_sampling

    before(trl_sampling, "sample", moment)


def _update(moment: str) -> None:
    from r1repro.training.trl_adapter import PackedGRPOTrainer

    before(PackedGRPOTrainer, "_compute_loss", moment)


def _checkpoint(moment: str) -> None:
    from r1repro.training import resume, trainers

    before(resume, "mark_complete", moment)
    before(trainers, "mark_complete", moment)


def _renaming(moment: str) -> None:
    before(Path, "rename", moment, _into_cache)


def _evaluation(moment: str) -> None:
    from r1repro.stages import evaluate

    before(evaluate, "row", moment)


def _notebook(moment: str) -> None:
    import papermill

    before(papermill, "execute_notebook", moment, _kill_kernel)


def _report(moment: str) -> None:
    from r1repro import artifacts

    before(artifacts, "write_atomically", moment, lambda path, text: path.suffix == ".html")


MOMENTS: dict[str, Callable[[str], None]] = {
    "pretraining": _pretraining,
    "rollout": _rollout,
    "update": _update,
    "checkpoint": _checkpoint,
    "renaming": _renaming,
    "evaluation": _evaluation,
    "notebook": _notebook,
    "report": _report,
}

if SETTING in os.environ:
    install()
