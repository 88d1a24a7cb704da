"""DeepSeek-R1 reproduced in notebooks, from random weights to a report."""

import os
import warnings

__version__ = "0.2.0"

# No dependency reports its use, unless the environment says otherwise.
for _name in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "VLLM_NO_USAGE_STATS"):
    os.environ.setdefault(_name, "1")
# Idle threads spin this often before they sleep. By default it is thirty times as much, which makes
# a run beside another busy process slower (benchmarks/neighbours.py).
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
# Without ipywidgets tqdm says so under the first cell of a notebook that imports transformers.
warnings.filterwarnings("ignore", message="IProgress not found")
