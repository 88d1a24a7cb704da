"""Rewards, answer verification and soundness of the work."""
