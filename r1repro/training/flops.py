"""How much computation a stage took, estimated from what it read and wrote."""

EQUAL_FLOPS = "equal_flops"
"""The folder in an RL stage's result with the policy as it was when a given budget was spent."""
FORWARD, BACKWARD = 2, 4
"""Floating-point operations a parameter and token (Kaplan et al. 2020, arXiv 2001.08361, 2.1)."""


def forward(parameters: int, tokens: float) -> float:
    """FLOPs to read or write `tokens` tokens; attention itself is left out, as in the source."""
    return FORWARD * float(parameters) * tokens


def trained(parameters: int, tokens: float) -> float:
    """FLOPs to learn from `tokens` tokens: a forward pass and the two of the backward pass."""
    return (FORWARD + BACKWARD) * float(parameters) * tokens


def grpo_step(
    parameters: int, prompt_tokens: float, completion_tokens: float, group: int, reference: bool
) -> float:
    """FLOPs of one GRPO step: rollouts, the reference's pass if there is one, the update.

    prompt_tokens: of all rows together; the sampler reads a prompt once for its `group` rows.
    """
    rows = prompt_tokens + completion_tokens
    sampling = forward(parameters, prompt_tokens / group + completion_tokens)
    return sampling + (forward(parameters, rows) if reference else 0.0) + trained(parameters, rows)
