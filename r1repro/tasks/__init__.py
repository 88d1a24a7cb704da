"""What is asked: problems, the mini world, prompt templates."""
