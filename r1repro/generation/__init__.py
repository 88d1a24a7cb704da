"""Sampling for training and evaluation."""
