"""The tokenizer of the tests of training."""

from tests.training.conftest import tokenizer

__all__ = ["tokenizer"]
