"""Figures, tables, the reports of runs and their published versions.

Everything here reads stored results (Parquet and JSON), never a checkpoint.
"""

FILES = ("report.html", "results.json", "differences.json", "claims.json")
"""Files of every report, whose hashes its manifest lists."""
RESOLVED = "resolved.yaml"
