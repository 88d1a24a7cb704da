"""Predicts the work, memory and time of a run, and checks the machine before it."""
