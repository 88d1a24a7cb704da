"""Log-probabilities of completions in tightly padded micro-batches."""

import torch
from torch import nn


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

    Logits are computed only for unmasked columns, so padding costs no vocabulary projection. Masked
    columns are 0. Entropy is in nats and carries no gradient. The third value is the number of
    tokens the backbone read, without padding.
    """
    hidden, read = states_before(backbone, ids_B_L, mask_B_L, completion_tokens, shared_once)
    keep = mask_B_L[:, -completion_tokens:].bool()
    labels = ids_B_L[:, -completion_tokens:][keep]
    # In one expression, so that no name keeps the logits while the softmax is computed.
    logps_N_V = (_at_least_float32(head(hidden[keep])) / temperature).log_softmax(-1)
    logps_N = logps_N_V.gather(1, labels[:, None])[:, 0]
    logps = torch.zeros(keep.shape, dtype=logps_N.dtype, device=logps_N.device)
    logps = logps.masked_scatter(keep, logps_N)
    if not with_entropy:
        return logps, None, read
    with torch.no_grad():
        entropy_N = -(logps_N_V.exp() * logps_N_V).sum(-1)
        entropy = torch.zeros_like(logps).masked_scatter(keep, entropy_N)
    return logps, entropy, read


def states_before(
    backbone: nn.Module,
    ids_B_L: torch.Tensor,
    mask_B_L: torch.Tensor,
    completion_tokens: int,
    shared_once: bool = True,
) -> tuple[torch.Tensor, int]:
    """The last hidden state before each of the last T columns, (B, T, D), and the tokens read.

    A prompt shared by several rows, as in a GRPO group, is prefilled once; its keys, values and
    gradients are shared. This is disabled under gradient checkpointing, which keeps no KV cache,
    and without `shared_once`: it needs a second forward pass, and sharded processes must all make
    the same number of passes.
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


def _at_least_float32(values: torch.Tensor) -> torch.Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


def plain_head(model: nn.Module) -> bool:
    """Whether logits are exactly head(hidden), as in Qwen and Llama."""
    config = model.config.get_text_config()
    names = ("final_logit_softcapping", "logit_scale", "output_multiplier")
    return all(getattr(config, name, None) is None for name in names)
