"""`python -m benchmarks.ship`: write R1-Zero and R1 of a finished run to checkpoints/.

Its arguments are the run's overrides.
"""

import sys

from r1repro import shipped_checkpoints
from r1repro.config import compose

if __name__ == "__main__":
    for file in shipped_checkpoints.write(compose(sys.argv[1:])):
        print(f"{file}: {file.stat().st_size / 2**20:.2f} MB")
