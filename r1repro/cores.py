"""What this machine computes with, and how stages that run in parallel share its cores.

With one thread a student's RL has 58 % of the speed of two, and its pretraining 72 %: two students
in parallel take a fifth less time than in sequence.
"""

import os
import sys
from pathlib import Path

_GPUS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
BFLOAT16 = ("amx_bf16", "avx512_bf16")
"""Flags of processors that multiply bfloat16; others emulate it, more slowly than float32."""


def gpu_in_sight() -> bool:
    """Whether this machine has a GPU, judged by its driver's device files."""
    return any(map(os.path.exists, _GPUS))


def at_once() -> int:
    """How many stages run in parallel: two on several cores, one with a GPU."""
    # Outside Linux a GPU has no device file.
    if not sys.platform.startswith("linux") or gpu_in_sight():
        return 1
    return min(2, len(os.sched_getaffinity(0)))


def take_half() -> None:
    """Limit a stage's process to half of the threads if another stage may run beside it.

    The limit applies even if none does, since rounding depends on the number of threads.
    """
    torch = sys.modules.get("torch")
    if torch is not None and at_once() == 2:
        torch.set_num_threads(max(1, torch.get_num_threads() // 2))


def multiply_bfloat16() -> bool:
    """Whether the cores multiply bfloat16 in hardware, by their flags on Linux."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return not set(BFLOAT16).isdisjoint(told.split())
