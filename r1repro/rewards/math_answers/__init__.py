"""Answers in mathematics: parsed into what they say, and compared by it."""
