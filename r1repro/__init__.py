"""DeepSeek-R1 reproduced in notebooks, from random weights to a report."""

__version__ = "0.1.0"
