"""How weights move: pretraining and GRPO."""
