"""Runs the graph of stages: finds cached results and builds the others in separate processes."""
