"""The cores of a machine without a GPU, shared by stages that are built side by side.

On two cores one thread gives a student's RL 58 % of the speed of two, and its pretraining 72 %: two
students at once take a fifth less time than one after the other.
"""

import os
import sys

_GPUS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


def gpu_in_sight() -> bool:
    """Whether this machine has a GPU, by its driver's files: nothing is loaded."""
    return any(map(os.path.exists, _GPUS))


def at_once() -> int:
    """How many stages are built at the same time here: two on several cores, one on a GPU.

    One outside Linux too, where a GPU has no such file.
    """
    if not sys.platform.startswith("linux") or gpu_in_sight():
        return 1
    return min(2, len(os.sched_getaffinity(0)))


def take_half() -> None:
    """In a stage's process: compute with half of the threads, if another stage may run beside.

    They are as few when none does: what a stage computes rounds by the number of its threads.
    """
    torch = sys.modules.get("torch")
    if torch is not None and at_once() == 2:
        torch.set_num_threads(max(1, torch.get_num_threads() // 2))
