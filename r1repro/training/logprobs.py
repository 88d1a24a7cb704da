"""Log-probabilities of completions in tightly padded micro-batches."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

CPU_CHUNK, CHUNK = 2**21, 2**25
"""Logits whose softmax is computed at a time: on CPUs as many as stay in the cache in float32."""


def micro_batches(
    prompt_lengths: torch.Tensor, completion_lengths: torch.Tensor, max_tokens: int
) -> list[torch.Tensor]:
    """Row indices of micro-batches with rows x (longest prompt + longest completion) <= max_tokens.

    Groups rows of similar length to limit padding. A row longer than `max_tokens` gets its own
    micro-batch. Both lengths have shape (B,).
    """
    order = torch.argsort(completion_lengths * 4096 + prompt_lengths, stable=True).tolist()
    prompts, completions = prompt_lengths.tolist(), completion_lengths.tolist()
    batches: list[list[int]] = []
    longest_prompt = longest_completion = 0
    for row in order:
        prompt = max(longest_prompt, prompts[row])
        completion = max(longest_completion, completions[row])
        if not batches or (prompt + completion) * (len(batches[-1]) + 1) > max_tokens:
            batches.append([])
            prompt, completion = prompts[row], completions[row]
        batches[-1].append(row)
        longest_prompt, longest_completion = prompt, completion
    device = prompt_lengths.device
    return [torch.tensor(rows, device=device) for rows in batches]


def token_logps(
    backbone: nn.Module,
    head: nn.Module,
    ids_B_L: torch.Tensor,
    mask_B_L: torch.Tensor,
    completion_tokens: int,
    temperature: float,
    with_entropy: bool,
    shared_once: bool = True,
) -> tuple[torch.Tensor, torch.Tensor | None, int]:
    """Log-probabilities and entropies, each (B, T), of the last T = `completion_tokens` columns.

    Masked columns are 0, and get no vocabulary projection. Entropy is in nats and carries no
    gradient. The third value is the number of tokens that the backbone read, without padding.
    """
    hidden, read = states_before(backbone, ids_B_L, mask_B_L, completion_tokens, shared_once)
    keep = mask_B_L[:, -completion_tokens:].bool()
    labels = ids_B_L[:, -completion_tokens:][keep]
    logps_N, entropy_N = LabelLogps.apply(head(hidden[keep]), labels, temperature, with_entropy)
    logps = torch.zeros(keep.shape, dtype=logps_N.dtype, device=logps_N.device)
    logps = logps.masked_scatter(keep, logps_N)
    if not with_entropy:
        return logps, None, read
    return logps, torch.zeros_like(logps.detach()).masked_scatter(keep, entropy_N), read


class LabelLogps(torch.autograd.Function):
    """log softmax(logits / temperature) at the labels and, if asked for, the entropies, each (N,).

    Computes some rows at a time, in at least float32, with the values and gradients of a softmax
    over all rows to the bit. With a vocabulary of 150 thousand tokens that softmax is larger than
    anything else in the step, and on CPUs allocating it took longer than computing it. The
    entropies carry no gradient, and are zeros if not asked for.
    """

    @staticmethod
    def forward(
        ctx: Any,
        logits_N_V: torch.Tensor,
        labels_N: torch.Tensor,
        temperature: float,
        with_entropy: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        kind = torch.promote_types(logits_N_V.dtype, torch.float32)
        logps_N, entropy_N = (logits_N_V.new_zeros(len(labels_N), dtype=kind) for _ in range(2))
        for rows in _chunks(logits_N_V):
            logps = _log_softmax(logits_N_V[rows], temperature)
            logps_N[rows] = logps.gather(1, labels_N[rows, None])[:, 0]
            if with_entropy:
                entropy_N[rows] = -(logps.exp() * logps).sum(-1)
            del logps  # not held while the next is computed
        ctx.save_for_backward(logits_N_V, labels_N)
        ctx.temperature = temperature
        ctx.mark_non_differentiable(entropy_N)
        return logps_N, entropy_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_N: torch.Tensor, _: Any) -> tuple[torch.Tensor, None, None, None]:
        logits_N_V, labels_N = ctx.saved_tensors
        found = torch.empty_like(logits_N_V)
        for rows in _chunks(logits_N_V):
            logps = _log_softmax(logits_N_V[rows], ctx.temperature)
            at_label = torch.zeros_like(logps).scatter_(1, labels_N[rows, None], grad_N[rows, None])
            grad = torch.ops.aten._log_softmax_backward_data(at_label, logps, -1, logps.dtype)
            found[rows] = grad if ctx.temperature == 1 else grad.div_(ctx.temperature)
            del logps, at_label, grad
        return found, None, None, None


def _chunks(logits_N_V: torch.Tensor) -> Iterator[slice]:
    most = CPU_CHUNK if logits_N_V.device.type == "cpu" else CHUNK
    rows = max(1, most // logits_N_V.shape[1])
    return (slice(start, start + rows) for start in range(0, len(logits_N_V), rows))


def _log_softmax(logits_N_V: torch.Tensor, temperature: float) -> torch.Tensor:
    logits = logits_N_V.to(torch.promote_types(logits_N_V.dtype, torch.float32))
    return (logits if temperature == 1 else logits / temperature).log_softmax(-1)


def states_before(
    backbone: nn.Module,
    ids_B_L: torch.Tensor,
    mask_B_L: torch.Tensor,
    completion_tokens: int,
    shared_once: bool = True,
) -> tuple[torch.Tensor, int]:
    """The last hidden state before each of the last T columns, (B, T, D), and the tokens read.

    A prompt shared by several rows, as in a GRPO group, is prefilled once, in a forward pass of its
    own. Not under gradient checkpointing, which keeps no KV cache, nor without `shared_once`, for
    sharded processes, which must all make the same number of passes.
    """
    split = ids_B_L.shape[1] - completion_tokens
    prompts, row_of = torch.unique(
        torch.stack([ids_B_L, mask_B_L])[:, :, :split].transpose(0, 1), dim=0, return_inverse=True
    )
    checkpointed = backbone.training and getattr(backbone, "is_gradient_checkpointing", False)
    if not shared_once or checkpointed or 2 * len(prompts) > len(ids_B_L) or completion_tokens == 1:
        whole = backbone(input_ids=ids_B_L, attention_mask=mask_B_L, use_cache=False)
        return whole.last_hidden_state[:, :-1][:, -completion_tokens:], int(mask_B_L.sum())
    read = backbone(input_ids=prompts[:, 0], attention_mask=prompts[:, 1], use_cache=True)
    cache = read.past_key_values
    cache.batch_select_indices(row_of)
    first = read.last_hidden_state[row_of, -1:]  # prompts are padded on the left
    completions = backbone(
        input_ids=ids_B_L[:, split:-1],
        attention_mask=mask_B_L[:, :-1],
        past_key_values=cache,
        use_cache=True,
    )
    tokens = int(prompts[:, 1].sum() + mask_B_L[:, split:-1].sum())
    return torch.cat([first, completions.last_hidden_state], dim=1), tokens


def plain_head(model: nn.Module) -> bool:
    """Whether logits are exactly head(hidden), as in Qwen and Llama."""
    config = model.config.get_text_config()
    names = ("final_logit_softcapping", "logit_scale", "output_multiplier")
    return all(getattr(config, name, None) is None for name in names)
