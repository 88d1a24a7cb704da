"""Rollouts, used by training and evaluation alike."""
