"""How much computation a stage took, estimated from what it read and wrote."""

EQUAL_FLOPS = "equal_flops"
"""The folder in an RL stage's result with the policy as it was when a given budget was spent."""
FORWARD, BACKWARD = 2, 4
"""Floating-point operations a parameter and token (Kaplan et al. 2020, arXiv 2001.08361, 2.1)."""


def forward(parameters: int, tokens: float) -> float:
    """FLOPs to read or write `tokens` tokens; attention itself is left out, as in the source."""
    return FORWARD * float(parameters) * tokens


def trained(parameters: int, tokens: float) -> float:
    """FLOPs to learn from `tokens` tokens: a forward pass and the two of the backward pass.

    Adapters are counted alike, though their frozen weights take two thirds of it, and gradient
    checkpointing, which reads once more, is not.
    """
    return (FORWARD + BACKWARD) * float(parameters) * tokens


def rollout(
    parameters: int, prompt_tokens: float, completion_tokens: float, group: int, reference: bool
) -> float:
    """FLOPs of GRPO's rollouts, with the reference's pass over them if there is one.

    prompt_tokens: of all rows together; the sampler reads a prompt once for its `group` rows.
    """
    sampling = forward(parameters, prompt_tokens / group + completion_tokens)
    judged = forward(parameters, prompt_tokens + completion_tokens) if reference else 0.0
    return sampling + judged
