"""How a run is told: figures, the report of one run, versions of reports.

Everything here reads what the stages stored (Parquet and JSON), never a checkpoint.
"""

from r1repro.reports.report import build

__all__ = ["build"]
