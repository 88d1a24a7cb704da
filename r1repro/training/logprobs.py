"""Log-probabilities of completions, in tightly padded micro-batches and only where needed."""

import torch
from torch import nn


def micro_batches(
    prompt_lengths: torch.Tensor, completion_lengths: torch.Tensor, max_tokens: int
) -> list[torch.Tensor]:
    """Row indices in micro-batches of rows x (longest prompt + longest completion) <= max_tokens.

    Rows of like length go together, so that little is padding. A row longer than `max_tokens`
    has a micro-batch of its own. Both lengths have shape (B,).
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
    """log pi(token) and entropy, each (B, T), of the last T = `completion_tokens` columns.

    Logits are made only for columns that the mask keeps, so padding costs no projection onto the
    vocabulary. Masked columns are 0. Entropy, in nats, carries no gradient.
    Last comes how many tokens the backbone has read, padding not counted.
    """
    hidden, read = states_before(backbone, ids_B_L, mask_B_L, completion_tokens, shared_once)
    keep = mask_B_L[:, -completion_tokens:].bool()
    labels = ids_B_L[:, -completion_tokens:][keep]
    logits_N_V = head(hidden[keep])
    logits_N_V = logits_N_V.to(torch.promote_types(logits_N_V.dtype, torch.float32))
    logps_N_V = (logits_N_V / temperature).log_softmax(-1)
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

    A prompt that several rows share, as a group's completions do, is read once: its keys and values
    are handed to all of them, and their gradients come back through these. Not under gradient
    checkpointing, which keeps no keys and values, nor unless `shared_once`: that takes a second
    pass, and processes that share out the weights have to make equally many.
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
    said = backbone(
        input_ids=ids_B_L[:, split:-1],
        attention_mask=mask_B_L[:, :-1],
        past_key_values=cache,
        use_cache=True,
    )
    tokens = int(prompts[:, 1].sum() + mask_B_L[:, split:-1].sum())
    return torch.cat([first, said.last_hidden_state], dim=1), tokens
