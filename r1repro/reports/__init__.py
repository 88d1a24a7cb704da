"""Figures, tables, the reports of runs and their published versions.

Everything here reads stored results (Parquet and JSON), never a checkpoint.
"""

from r1repro.reports.report import build

__all__ = ["build"]
