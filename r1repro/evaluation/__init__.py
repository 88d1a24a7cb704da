"""Evaluation rows, metrics, statistics, claims and run diagnostics."""
