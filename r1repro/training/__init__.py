"""Training: pretraining, SFT, reward modelling and GRPO."""
